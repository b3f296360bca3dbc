"""A run is told to an OpenTelemetry collector as run, steps and dealers; a bad collector, or none, changes nothing."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from autoflex_pipeline.errors import ConfigurationError
from autoflex_pipeline.model import MODELS
from autoflex_pipeline.runs import steps
from autoflex_pipeline.runs.context import RunOptions
from autoflex_pipeline.settings import load_settings
from autoflex_pipeline.telemetry import traces
from autoflex_pipeline_tests.receivers import Receiver, receiving
from autoflex_pipeline_tests.world import DEVRIES, JANSEN, World, load


@pytest.fixture
def collector(world: World) -> Iterator[Receiver]:
    with receiving() as running:
        telemetry = f'[telemetry]\notlp_endpoint = "{running.url}"\notlp_token_env = "OTLP_TOKEN"\n'
        world.config.write_text(world.config.read_text("utf-8") + telemetry, "utf-8")
        world.restart()
        yield running


@pytest.fixture(autouse=True)
def token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTLP_TOKEN", "t0ken-s3cr3t")


def spans(collector: Receiver) -> list[Any]:
    found = []
    for path, headers, body in collector.requests:
        assert path == "/v1/traces"
        assert {name.lower(): value for name, value in headers.items()}["authorization"] == "Bearer t0ken-s3cr3t"
        request = ExportTraceServiceRequest.FromString(body)
        for resource in request.resource_spans:
            assert resource.resource.attributes[0].value.string_value == "autoflex_pipeline"
            found += [span for scope in resource.scope_spans for span in scope.spans]
    return found


def attributes(span: Any) -> dict[str, Any]:
    return {
        item.key.removeprefix("autoflex."): item.value.string_value or item.value.int_value for item in span.attributes
    }


def test_a_run_is_one_trace_of_its_steps_and_their_dealers_with_counts_and_no_values(
    world: World, collector: Receiver
) -> None:
    load(world, orders=3)
    world.tick(publish=True)
    told = spans(collector)
    [run] = [span for span in told if span.name == "run"]
    run_steps = {span.name: span for span in told if span.parent_span_id == run.span_id}
    assert list(run_steps) == [
        "read_open_orders", "read_lines", "read_vehicles", "read_relations", "stage", "account", "deliver",
        "close_run", "publish_when_due",
    ]  # fmt: skip
    assert {span.trace_id for span in told} == {uuid.UUID(attributes(run)["run_id"]).bytes}
    assert run.start_time_unix_nano == run_steps["read_open_orders"].start_time_unix_nano
    assert run.end_time_unix_nano == run_steps["publish_when_due"].end_time_unix_nano
    dealers = {
        (span.name, attributes(span)["dealer_id"]): attributes(span)
        for span in told
        if span.parent_span_id in {one.span_id for one in run_steps.values()}
    }
    assert dealers["read_open_orders dealer", JANSEN]["records"] == 3
    assert dealers["read_open_orders dealer", JANSEN]["requests"] == 2, "the order types, and the list"
    assert dealers["deliver dealer", JANSEN]["created"] == 3
    assert ("deliver dealer", DEVRIES) in dealers
    everything = b"".join(body for _, _, body in collector.requests)
    for value in (b"Berg", b"GH123J", b"GH-123-J", b"Klant wacht", b"2026-50001", b"http", b"s3cr3t"):
        assert value not in everything


def test_a_step_that_fails_ends_the_trace_as_an_error_without_its_words(
    world: World, collector: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    def breaks(*_: object) -> None:
        raise ValueError("Mevr. van den Berg")

    monkeypatch.setattr(steps, "stage_entities", breaks)
    context = world.installation.run_context(str(uuid.uuid4()), RunOptions())
    with pytest.raises(ValueError, match="Berg"):
        steps.stage(context)
    stage, run = spans(collector)
    assert (stage.name, run.name) == ("stage", "run")
    assert stage.status.code == run.status.code == 2
    assert (stage.status.message, run.status.message) == ("ValueError", "ValueError")


@pytest.mark.parametrize("trouble", ["refuses", "is not there", "has no token", "has no library"])
def test_a_collector_that_cannot_be_told_costs_one_warning_and_not_the_run(
    world: World,
    collector: Receiver,
    trouble: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(traces, "SECONDS", 0.3)
    collector.answers = [400]
    if trouble == "is not there":
        text = world.config.read_text("utf-8").replace(collector.url, "http://127.0.0.1:9")
        world.config.write_text(text, "utf-8")
        world.restart()
    elif trouble == "has no token":
        monkeypatch.delenv("OTLP_TOKEN")
    elif trouble == "has no library":
        monkeypatch.setitem(__import__("sys").modules, "opentelemetry.exporter.otlp.proto.http.trace_exporter", None)
    context = world.installation.run_context(str(uuid.uuid4()), RunOptions())
    for _ in range(2):
        assert set(steps.stage(context).counts) == set(MODELS)
    said = [record.getMessage() for record in caplog.records if "trace of run" in record.getMessage()]
    assert len(said) == 1, "of one run, however many steps it has"
    assert "s3cr3t" not in caplog.text
    assert len(collector.requests) == (1 if trouble == "refuses" else 0)


def test_nothing_is_measured_when_nobody_is_to_be_told(world: World) -> None:
    context = world.installation.run_context(str(uuid.uuid4()), RunOptions())
    assert context.teller is None
    steps.stage(context)
    assert context.step is None


def test_a_token_is_not_sent_in_clear(world: World) -> None:
    text = '[telemetry]\notlp_endpoint = "http://collector.example:4318"\notlp_token_env = "OTLP_TOKEN"\n'
    world.config.write_text(world.config.read_text("utf-8") + text, "utf-8")
    with pytest.raises(ConfigurationError, match=r"telemetry: otlp_endpoint .* would send secrets"):
        load_settings(world.config)
