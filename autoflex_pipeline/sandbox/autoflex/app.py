"""The Autoflex application: the contract's API, the control routes and the pages in one FastAPI app."""

from __future__ import annotations

from fastapi import FastAPI

from autoflex_pipeline.sandbox.autoflex.api import api_routes
from autoflex_pipeline.sandbox.autoflex.control import control_routes
from autoflex_pipeline.sandbox.autoflex.pages import page_routes
from autoflex_pipeline.sandbox.autoflex.service import AutoflexService
from autoflex_pipeline.sandbox.door import Door
from autoflex_pipeline.sandbox.refusals import refuse_what_cannot_be_kept


def autoflex_app(service: AutoflexService) -> FastAPI:
    """The app on ``service``; OpenAPI at /openapi.json (no /docs: its scripts come from elsewhere)."""
    app = FastAPI(title="Autoflex 10 (sandbox)", version="10", description=__doc__, docs_url=None, redoc_url=None)
    app.include_router(api_routes(service))
    app.include_router(control_routes(service))
    app.include_router(page_routes(service))
    refuse_what_cannot_be_kept(app)
    app.add_middleware(Door)
    return app
