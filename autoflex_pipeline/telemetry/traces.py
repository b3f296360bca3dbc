"""Spans of each run to an OpenTelemetry collector, over OTLP/HTTP: run, step, dealer in a step, with counts.

Off by default; on with ``[telemetry] otlp_endpoint``. The library is an extra (``autoflex-pipeline[otel]``) and is
imported only then. A collector that does not answer costs a warning and a few seconds, never the run.
"""

from __future__ import annotations

import hashlib
import logging
import uuid
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from autoflex_pipeline.errors import ConfigurationError
from autoflex_pipeline.runs.spans import Span
from autoflex_pipeline.settings import TelemetrySettings, header_secret

if TYPE_CHECKING:
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

SECONDS = 5.0
"""So long a collector may hold up a run, once: after a failure it is told nothing more of that run."""

SCOPE = "autoflex_pipeline"

log = logging.getLogger(__name__)


class TraceTeller:
    """Tells the collector of the steps of runs; one connection for the process."""

    def __init__(self, settings: TelemetrySettings) -> None:
        self._settings = settings
        self._exporter: OTLPSpanExporter | None = None
        self._run_id = ""
        self._began = 0
        self._is_muted = False

    def __call__(self, spans: Sequence[Span], run_has_ended: bool) -> None:
        """Tell of a step; of the whole run, too, when it has ended."""
        own = spans[0]
        if own.run_id != self._run_id:
            self._run_id, self._began, self._is_muted = own.run_id, own.began, False
        if self._is_muted:
            return
        told = list(spans)
        if run_has_ended:
            whole = Span(own.run_id, "run", span_id=run_span_id(own.run_id), began=self._began)
            whole.ended, whole.error = own.ended, own.error
            told.append(whole)
        problem = self._told(told)
        if problem is not None:
            self._is_muted = True
            log.warning("the trace of run %s was not sent (%s); the run is not affected", own.run_id, problem)

    def close(self) -> None:
        """Close the connection."""
        if self._exporter is not None:
            self._exporter.shutdown()  # type: ignore[no-untyped-call]
            self._exporter = None

    def _told(self, spans: Sequence[Span]) -> str | None:
        """Send; gives what went wrong."""
        try:
            exporter = self._exporter = self._exporter or _exporter(self._settings)
            sent = exporter.export([_readable(span, self._settings.service_name) for span in spans])
        except ImportError:
            return "its library is not there: `make install` brings it, or install this package with its extra [otel]"
        except ConfigurationError as error:
            return str(error)
        except Exception as error:  # whatever the library raises: the trace is told beside the run, not part of it
            return type(error).__name__
        return None if sent.name == "SUCCESS" else "the collector did not take it"


def trace_id(run_id: str) -> int:
    """The trace of a run is found by the run's id: a UUID as Dagster makes it is the id of the trace, too."""
    try:
        return uuid.UUID(run_id).int
    except ValueError:
        return uuid.uuid5(uuid.NAMESPACE_URL, run_id).int


def run_span_id(run_id: str) -> int:
    """The id of the span of the whole run: steps name it as their parent before it is told."""
    return int.from_bytes(hashlib.blake2b(run_id.encode(), digest_size=8).digest(), "big")


def _exporter(settings: TelemetrySettings) -> OTLPSpanExporter:
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

    # What it says of a failure is said above, once, and without the collector's words.
    logging.getLogger("opentelemetry.exporter").setLevel(logging.CRITICAL)
    headers = {}
    if settings.otlp_token_env is not None:
        token = header_secret(settings.otlp_token_env, needed_for="[telemetry] otlp_token_env")
        headers["Authorization"] = f"Bearer {token.get_secret_value()}"
    return OTLPSpanExporter(endpoint=f"{settings.otlp_endpoint}/v1/traces", headers=headers, timeout=SECONDS)


def _readable(span: Span, service: str) -> Any:
    """The span as the exporter takes it. Made directly: a tracer would give it other times and ids."""
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import ReadableSpan
    from opentelemetry.sdk.util.instrumentation import InstrumentationScope
    from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode, TraceFlags

    def context(span_id: int) -> SpanContext:
        return SpanContext(trace_id(span.run_id), span_id, is_remote=False, trace_flags=TraceFlags(TraceFlags.SAMPLED))

    whole = run_span_id(span.run_id)
    parent = None if span.span_id == whole else context(span.parent or whole)
    attributes: dict[str, str | int] = {"autoflex.run_id": span.run_id}
    if span.dealer_id is not None:
        attributes["autoflex.dealer_id"] = span.dealer_id
    return ReadableSpan(
        name=span.name,
        context=context(span.span_id),
        parent=parent,
        resource=Resource({"service.name": service}),
        attributes=attributes | {f"autoflex.{name}": count for name, count in span.counts.items()},
        kind=SpanKind.INTERNAL,
        status=Status(StatusCode.ERROR, span.error) if span.error else Status(StatusCode.OK),
        start_time=span.began,
        end_time=span.ended,
        instrumentation_scope=InstrumentationScope(SCOPE),
    )
