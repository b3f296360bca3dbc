"""The Autoflex 10 REST API. It knows the API, nothing of what is stored or wanted: it answers reading questions.

``reading`` holds the questions, ``look`` the cheap one, ``names`` every name of the protocol with its evidence;
``checks`` and ``openapi`` compare those names with what is there. Below: ``connection`` (a call with a valid token),
``session`` (the login), ``client`` (HTTP), ``pages``, ``by_value`` and ``effort`` (much with few requests).
"""

from autoflex_pipeline.sources.autoflex_api.checks import NameCheck, doctor_checks
from autoflex_pipeline.sources.autoflex_api.look import Look, digest_of, look
from autoflex_pipeline.sources.autoflex_api.openapi import openapi_checks
from autoflex_pipeline.sources.autoflex_api.pages import Record
from autoflex_pipeline.sources.autoflex_api.reading import AutoflexApi, Reading

__all__ = [
    "AutoflexApi",
    "Look",
    "NameCheck",
    "Reading",
    "Record",
    "digest_of",
    "doctor_checks",
    "look",
    "openapi_checks",
]
