"""What a run read and wrote, as OpenLineage events: names of columns and counts, never a value of a record.

Off by default; on with ``[lineage] openlineage_file`` or ``openlineage_url``. The client library is an extra
(``lineage``; `make install` brings it) and is imported only when events are wanted.
"""

from __future__ import annotations

import logging
import os
import uuid
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from autoflex_pipeline.errors import ConfigurationError
from autoflex_pipeline.lineage.columns import document_columns
from autoflex_pipeline.model import MODELS, RAW_ENTITIES, fields
from autoflex_pipeline.settings import LineageSettings, secret

if TYPE_CHECKING:
    from openlineage.client.event_v2 import OutputDataset, RunEvent
    from openlineage.client.transport import Transport

PRODUCER = "https://openlineage.io/autoflex-pipeline"
SECONDS = 5.0
"""A lineage backend that does not answer must not hold up a run for longer."""

log = logging.getLogger(__name__)


def emit_run(settings: LineageSettings, run_id: str, summaries: Mapping[str, Mapping[str, Any]], now: datetime) -> None:
    """Tell what the run did (``summaries`` by dealer); a backend that fails costs a warning, never the run."""
    if not settings.is_on:
        return
    try:
        events = run_events(settings.openlineage_namespace, run_id, summaries, now)
        for transport in _transports(settings):
            for event in events:
                transport.emit(event)
            transport.close()
    except ImportError:
        log.warning(
            "[lineage] is configured, but its library is not there: `make install` brings it, or install this package "
            "with its extra [lineage]"
        )
    except ConfigurationError as error:
        log.warning("lineage events of run %s were not sent: %s", run_id, error)
    except Exception as error:  # whatever its transports raise: lineage is told beside the run, not part of it
        log.warning(
            "lineage events of run %s were not sent (%s); the run is not affected", run_id, type(error).__name__
        )


def run_events(
    namespace: str, run_id: str, summaries: Mapping[str, Mapping[str, Any]], now: datetime
) -> list[RunEvent]:
    """One event of completion for reading, for staging each entity, and for delivery, with the run as their parent."""
    jobs = {
        "read": (
            [f"autoflex.{raw}" for raw in RAW_ENTITIES.values()],
            [
                _output(namespace, f"raw.{raw}", {}, _total(summaries, "extracted", raw))
                for raw in RAW_ENTITIES.values()
            ],
        ),
        **{
            f"stage.{entity}": (
                [f"raw.{raw}"],
                [
                    _output(
                        namespace,
                        f"staging.{entity}",
                        {field.name: [(f"raw.{raw}", name) for name in field.dms] for field in fields(entity)},
                        _total(summaries, "staged", entity, "accepted"),
                    )
                ],
            )
            for entity, raw in RAW_ENTITIES.items()
        },
        "deliver": (
            [f"staging.{entity}" for entity in MODELS],
            [
                _output(
                    namespace,
                    "claire.appointment",
                    {
                        path: [(f"staging.{source.dataset}", source.name) for source in sources]
                        for path, sources in document_columns().items()
                    },
                    sum(_total(summaries, "delivery", name) for name in ("created", "updated")),
                )
            ],
        ),
    }
    return [_event(namespace, run_id, job, inputs, outputs, now) for job, (inputs, outputs) in jobs.items()]


def _event(
    namespace: str, run_id: str, job: str, inputs: list[str], outputs: list[OutputDataset], now: datetime
) -> RunEvent:
    from openlineage.client.event_v2 import InputDataset, Job, Run, RunEvent, RunState
    from openlineage.client.facet_v2 import parent_run

    parent = parent_run.ParentRunFacet(
        run=parent_run.Run(runId=_as_uuid(run_id)),
        job=parent_run.Job(namespace=namespace, name="run"),
        producer=PRODUCER,
    )
    return RunEvent(
        eventTime=now.isoformat(),
        producer=PRODUCER,
        run=Run(runId=str(uuid.uuid5(uuid.UUID(_as_uuid(run_id)), job)), facets={"parent": parent}),
        job=Job(namespace=namespace, name=job),
        eventType=RunState.COMPLETE,
        inputs=[InputDataset(namespace=namespace, name=name) for name in inputs],
        outputs=outputs,
    )


def _output(namespace: str, name: str, columns: Mapping[str, Iterable[tuple[str, str]]], rows: int) -> OutputDataset:
    from openlineage.client.event_v2 import OutputDataset
    from openlineage.client.facet_v2 import column_lineage_dataset, output_statistics_output_dataset, schema_dataset

    facets: dict[str, Any] = {}
    if columns:
        facets["schema"] = schema_dataset.SchemaDatasetFacet(
            fields=[schema_dataset.SchemaDatasetFacetFields(name=column) for column in columns], producer=PRODUCER
        )
        facets["columnLineage"] = column_lineage_dataset.ColumnLineageDatasetFacet(
            fields={
                column: column_lineage_dataset.Fields(
                    inputFields=[
                        column_lineage_dataset.InputField(namespace=namespace, name=dataset, field=field)
                        for dataset, field in sources
                    ]
                )
                for column, sources in columns.items()
            },
            producer=PRODUCER,
        )
    statistics = output_statistics_output_dataset.OutputStatisticsOutputDatasetFacet(rowCount=rows, producer=PRODUCER)
    return OutputDataset(namespace=namespace, name=name, facets=facets, outputFacets={"outputStatistics": statistics})


def _transports(settings: LineageSettings) -> list[Transport]:
    from openlineage.client.transport.file import FileConfig, FileTransport
    from openlineage.client.transport.http import ApiKeyTokenProvider, HttpConfig, HttpTransport, TokenProvider

    found: list[Transport] = []
    if settings.openlineage_file is not None:
        path = settings.openlineage_file
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        os.close(os.open(path, os.O_CREAT | os.O_WRONLY, 0o600))
        found.append(FileTransport(FileConfig(log_file_path=str(path), append=True)))
    if settings.openlineage_url is not None:
        auth = TokenProvider({})
        if settings.openlineage_api_key_env is not None:
            key = secret(settings.openlineage_api_key_env, needed_for="[lineage] openlineage_api_key_env")
            auth = ApiKeyTokenProvider({"apiKey": key.get_secret_value()})
        retry = {"total": 1, "backoff_factor": 0.2}
        found.append(HttpTransport(HttpConfig(url=settings.openlineage_url, timeout=SECONDS, auth=auth, retry=retry)))
    return found


def _total(summaries: Mapping[str, Mapping[str, Any]], *path: str) -> int:
    total = 0
    for summary in summaries.values():
        value: Any = summary
        for name in path:
            value = value[name]
        total += int(value)
    return total


def _as_uuid(run_id: str) -> str:
    """Dagster's run ids are UUIDs; any other text becomes one, always the same."""
    try:
        return str(uuid.UUID(run_id))
    except ValueError:
        return str(uuid.uuid5(uuid.NAMESPACE_URL, run_id))
