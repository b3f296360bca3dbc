"""The Claire application: the contract's API, the control routes and the pages in one FastAPI app."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from autoflex_pipeline.sandbox.claire.api import api_routes, component_schemas
from autoflex_pipeline.sandbox.claire.control import control_routes
from autoflex_pipeline.sandbox.claire.pages import page_routes
from autoflex_pipeline.sandbox.claire.service import ClaireService
from autoflex_pipeline.sandbox.door import Door
from autoflex_pipeline.sandbox.refusals import refuse_what_cannot_be_kept


def claire_app(service: ClaireService) -> FastAPI:
    """The app on ``service``; OpenAPI at /openapi.json (no /docs: its scripts come from elsewhere)."""
    app = FastAPI(title="Claire (sandbox)", version="1", description=__doc__, docs_url=None, redoc_url=None)
    app.include_router(api_routes(service))
    app.include_router(control_routes(service))
    app.include_router(page_routes(service))
    refuse_what_cannot_be_kept(app)
    app.add_middleware(Door)

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            schema = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
            schema.setdefault("components", {}).setdefault("schemas", {}).update(component_schemas())
            app.openapi_schema = schema
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]
    return app
