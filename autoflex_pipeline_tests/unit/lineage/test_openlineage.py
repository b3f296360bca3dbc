"""OpenLineage events: off by default, columns and counts only, and no run depends on them."""

from __future__ import annotations

import json
import logging
import stat
import threading
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from openlineage.client import event_v2, facet_v2

from autoflex_pipeline.lineage.columns import document_columns
from autoflex_pipeline.lineage.openlineage import emit_run
from autoflex_pipeline.model import fields
from autoflex_pipeline.settings import LineageSettings, load_settings

NOW = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)
RUN = "8265652e-ce47-419a-b29f-0483e4e97ee2"
SUMMARIES: dict[str, dict[str, Any]] = {
    dealer: {
        "extracted": {"order": 3, "order_line": 6, "vehicle": 1, "relation": 1},
        "staged": {
            name: {"accepted": 2, "unchanged": 1, "quarantined": 0}
            for name in ("appointment", "intervention", "car", "party")
        },
        "delivery": {"created": 2, "updated": 1},
    }
    for dealer in ("a", "b")
}


def events_in(file: Path) -> dict[str, Any]:
    found = [json.loads(text) for text in file.read_text("utf-8").splitlines()]
    return {event["job"]["name"]: event for event in found}


def test_nothing_is_written_or_sent_unless_it_is_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    emit_run(LineageSettings(), RUN, SUMMARIES, NOW)
    assert list(tmp_path.iterdir()) == []


def test_a_run_tells_what_it_read_staged_and_delivered_column_by_column(tmp_path: Path) -> None:
    file = tmp_path / "deep" / "lineage.jsonl"
    emit_run(LineageSettings(openlineage_file=file), RUN, SUMMARIES, NOW)
    events = events_in(file)
    assert set(events) == {
        "read", "stage.appointment", "stage.intervention", "stage.car", "stage.party", "deliver",
    }  # fmt: skip
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    (staged,) = events["stage.appointment"]["outputs"]
    assert staged["outputFacets"]["outputStatistics"]["rowCount"] == 4
    lineage = staged["facets"]["columnLineage"]["fields"]
    assert set(lineage) == {field.name for field in fields("appointment")}
    assert lineage["wo_number"]["inputFields"] == [
        {"namespace": "autoflex_pipeline", "name": "raw.order", "field": "order_number", "transformations": []}
    ]
    (delivered,) = events["deliver"]["outputs"]
    assert delivered["outputFacets"]["outputStatistics"]["rowCount"] == 6
    assert set(delivered["facets"]["columnLineage"]["fields"]) == set(document_columns())


def test_every_event_is_one_that_the_client_library_knows(tmp_path: Path) -> None:
    file = tmp_path / "lineage.jsonl"
    emit_run(LineageSettings(openlineage_file=file), RUN, SUMMARIES, NOW)
    inputs, outputs = set(), set()
    for event in events_in(file).values():
        assert event["schemaURL"].startswith("https://openlineage.io/spec/")
        assert event["eventType"] == "COMPLETE"
        assert datetime.fromisoformat(event["eventTime"]) == NOW
        uuid.UUID(event["run"]["runId"])
        assert event["run"]["facets"]["parent"]["run"]["runId"] == RUN
        for dataset in event["outputs"]:
            outputs.add(dataset["name"])
            event_v2.OutputDataset(dataset["namespace"], dataset["name"])
            for facet in (*dataset["facets"].values(), *dataset["outputFacets"].values()):
                assert facet["_schemaURL"].startswith("https://openlineage.io/spec/facets/")
                assert facet["_producer"].startswith("https://")
            if "columnLineage" in dataset["facets"]:
                for field in dataset["facets"]["columnLineage"]["fields"].values():
                    for each in field["inputFields"]:
                        facet_v2.column_lineage_dataset.InputField(**each)
        inputs |= {dataset["name"] for dataset in event["inputs"]}
    assert {name for name in inputs if not name.startswith("autoflex.")} <= outputs
    assert len({event["run"]["runId"] for event in events_in(file).values()}) == 6


class Backend(BaseHTTPRequestHandler):
    got: list[tuple[str, str, Any]] = []
    status = 201

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.got.append((self.path, self.headers.get("Authorization", ""), body))
        self.send_response(self.status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Quiet."""


@pytest.fixture
def backend() -> Iterator[tuple[str, type[Backend]]]:
    handler = type("OfTheTest", (Backend,), {"got": []})
    server = HTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", handler
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_backend_gets_the_same_events_with_its_key(
    backend: tuple[str, type[Backend]], monkeypatch: pytest.MonkeyPatch
) -> None:
    url, handler = backend
    monkeypatch.setenv("OL_KEY", "sleutel")
    emit_run(LineageSettings(openlineage_url=url, openlineage_api_key_env="OL_KEY"), RUN, SUMMARIES, NOW)
    assert len(handler.got) == 6
    assert {(path, key) for path, key, _ in handler.got} == {("/api/v1/lineage", "Bearer sleutel")}


def test_a_backend_that_fails_costs_a_warning_and_tells_no_key(
    backend: tuple[str, type[Backend]], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    url, handler = backend
    handler.status = 400
    monkeypatch.setenv("OL_KEY", "sleutel")
    with caplog.at_level(logging.DEBUG):
        emit_run(LineageSettings(openlineage_url=url, openlineage_api_key_env="OL_KEY"), RUN, SUMMARIES, NOW)
    assert "the run is not affected" in caplog.text
    assert "sleutel" not in caplog.text


def test_a_missing_key_costs_a_warning_that_names_the_variable(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.delenv("OL_KEY", raising=False)
    settings = LineageSettings(openlineage_url="http://127.0.0.1:1", openlineage_api_key_env="OL_KEY")
    emit_run(settings, RUN, SUMMARIES, NOW)
    assert "OL_KEY" in caplog.text


def test_the_file_lies_beside_the_configuration_and_a_key_never_goes_in_clear(tmp_path: Path) -> None:
    config = tmp_path / "autoflex.toml"
    common = (
        '[claire]\nbase_url = "https://c.example/api"\n[[dealers]]\nid = "a"\nname = "A"\nclaire_location_id = "1"\n'
    )
    config.write_text(common + '[lineage]\nopenlineage_file = "l.jsonl"\n', "utf-8")
    assert load_settings(config).lineage.openlineage_file == tmp_path / "l.jsonl"
    config.write_text(
        common + '[lineage]\nopenlineage_url = "http://marquez.example"\nopenlineage_api_key_env = "K"\n', "utf-8"
    )
    with pytest.raises(Exception, match="in clear; use https"):
        load_settings(config)
