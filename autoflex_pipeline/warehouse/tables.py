"""Every table of the warehouse with its columns and their meaning; the entities' columns come from the models."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from autoflex_pipeline.model import MODELS, fields


@dataclass(frozen=True, slots=True)
class Column:
    """A column: name, DuckDB type, meaning."""

    name: str
    type: str
    description: str


@dataclass(frozen=True, slots=True)
class Table:
    """A table: name, grain and meaning, columns."""

    name: str
    description: str
    columns: tuple[Column, ...]

    @property
    def column_names(self) -> tuple[str, ...]:
        """The names of the columns, in order."""
        return tuple(column.name for column in self.columns)


DEALER = Column("dealer_id", "VARCHAR", "The dealer, as named in the configuration.")
RUN = Column("run_id", "VARCHAR", "The run that wrote the row.")
ENTITY = Column("entity", "VARCHAR", "appointment, intervention, car or party.")
RAW_ENTITY = Column("entity", "VARCHAR", "The DMS's own name: order, order_line, vehicle or relation.")
NUMBER = Column("dms_number", "VARCHAR", "The number by which the DMS knows the record.")
KEY = Column("record_key", "VARCHAR", "The number by which the DMS knows the record; empty when it has none.")
RAW_SEQ = Column("raw_seq", "BIGINT", "The raw record that the row was made from (raw_record.seq).")
OBSERVED = Column("observed_at", "TIMESTAMPTZ", "When this version was accepted.")

BOOKKEEPING: tuple[Table, ...] = (
    Table(
        "schema_version",
        "One row per migration applied to this file.",
        (
            Column("version", "INTEGER", "Number of the migration."),
            Column("applied_at", "TIMESTAMPTZ", "When it was applied."),
        ),
    ),
    Table(
        "extract",
        "One row per reading of one kind of record from one dealer.",
        (
            Column("extract_id", "VARCHAR", "Identifier of the extract."),
            DEALER,
            RAW_ENTITY,
            Column("source", "VARCHAR", "Where it was read, such as api:open_orders."),
            Column("window_from", "DATE", "First appointment day asked for; empty when the extract has no window."),
            Column("window_to", "DATE", "Last appointment day asked for; empty when the extract has no window."),
            Column("is_complete", "BOOLEAN", "Whether everything in its window was read."),
            Column("rows", "BIGINT", "Distinct records that it brought."),
            Column("started_at", "TIMESTAMPTZ", "When reading began."),
            Column("finished_at", "TIMESTAMPTZ", "When reading ended."),
            RUN,
            Column("error", "VARCHAR", "Why it broke off; empty when it did not."),
        ),
    ),
    Table(
        "raw_record",
        "Append-only: each version of each record, verbatim as the source gave it.",
        (
            Column("seq", "BIGINT", "Running number of the raw record, over all dealers."),
            DEALER,
            RAW_ENTITY,
            KEY,
            Column("parent_key", "VARCHAR", "For an order line, the order it says it belongs to."),
            Column("record", "VARCHAR", "The record as it came: JSON text."),
            Column("raw_hash", "VARCHAR", "Hash of the record's text."),
            Column("extract_id", "VARCHAR", "The extract that brought it."),
            Column("source", "VARCHAR", "Endpoint and page, or file and line."),
            Column("fetched_at", "TIMESTAMPTZ", "When it was read."),
            RUN,
        ),
    ),
    Table(
        "sighting",
        "One row per record of the DMS: its newest raw version and when it was last seen.",
        (
            DEALER,
            RAW_ENTITY,
            KEY,
            Column("raw_hash", "VARCHAR", "Hash of the newest raw version."),
            RAW_SEQ,
            Column("extract_id", "VARCHAR", "The extract that saw it last."),
            Column("seen_at", "TIMESTAMPTZ", "When it was last seen."),
            RUN,
        ),
    ),
    Table(
        "line_list",
        "One row per order: the lines it had when they were last read completely, in the DMS's order.",
        (
            DEALER,
            Column("order_key", "VARCHAR", "The order (its dms_number)."),
            Column("line_keys", "VARCHAR[]", "The numbers of its lines, in the order given."),
            Column("extract_id", "VARCHAR", "The extract that read them."),
            Column("read_at", "TIMESTAMPTZ", "When they were read."),
        ),
    ),
    Table(
        "followed",
        "One row per record and kind of part: the version of the record for which the parts were last read.",
        (
            DEALER,
            RAW_ENTITY,
            KEY,
            Column("part", "VARCHAR", "The kind of part that was read: order_line, vehicle or relation."),
            Column("raw_hash", "VARCHAR", "Hash of the record's version for which they were read."),
            Column("read_at", "TIMESTAMPTZ", "When they were read."),
        ),
    ),
    Table(
        "nonexistent",
        "One row per record that the DMS, asked by id, said does not exist.",
        (DEALER, RAW_ENTITY, KEY, Column("asked_at", "TIMESTAMPTZ", "When it said so last.")),
    ),
    Table(
        "absence",
        "One row per order, staged or to be staged, that a complete extract lacked and that was not found by id.",
        (
            DEALER,
            NUMBER,
            Column(
                "first_missing_at",
                "TIMESTAMPTZ",
                "When it was first found missing, or found so after a clock had jumped.",
            ),
            Column(
                "first_missing_dms_at", "TIMESTAMPTZ", "The same moment on the DMS's own clock; NULL when it told none."
            ),
            Column("last_missing_at", "TIMESTAMPTZ", "When it was last found missing."),
            Column(
                "confirmed_at", "TIMESTAMPTZ", "When its absence was confirmed; from then on it counts as canceled."
            ),
            Column("returned_at", "TIMESTAMPTZ", "When it was seen again after that; staging then undoes the cancel."),
        ),
    ),
    Table(
        "staged",
        "One row per kind of record: the newest raw record that staging has taken.",
        (RAW_ENTITY, RAW_SEQ),
    ),
    Table(
        "restage",
        "Records that staging takes again although their raw record is not new: retried, reordered, returned, gone.",
        (DEALER, RAW_ENTITY, KEY),
    ),
    Table(
        "skipped",
        "One row per record that is not staged because of what it is: its newest version.",
        (DEALER, RAW_ENTITY, KEY, Column("reason", "VARCHAR", "not_workshop or type_missing."), RAW_SEQ),
    ),
    Table(
        "finding",
        "One row per repair, warning or rejection of a raw record.",
        (
            DEALER,
            ENTITY,
            NUMBER,
            Column("severity", "VARCHAR", "repair, warn or reject."),
            Column("rule", "VARCHAR", "Name of the rule."),
            Column("field", "VARCHAR", "The field that it is about."),
            Column("before", "VARCHAR", "The value as the DMS gave it."),
            Column("after", "VARCHAR", "The value after a repair."),
            Column("hint", "VARCHAR", "What to do about it."),
            RAW_SEQ,
            RUN,
            Column("found_at", "TIMESTAMPTZ", "When it was found."),
        ),
    ),
    Table(
        "quarantine",
        "One row per rejected record and rule; an unchanged bad record stays the same row.",
        (
            DEALER,
            ENTITY,
            NUMBER,
            Column("rule", "VARCHAR", "Name of the rule that rejected it."),
            Column("field", "VARCHAR", "The field that it is about."),
            Column("value", "VARCHAR", "The offending value."),
            Column("hint", "VARCHAR", "What to do about it."),
            Column("first_seen_at", "TIMESTAMPTZ", "When the record was first rejected by this rule."),
            Column("last_seen_at", "TIMESTAMPTZ", "When it was last rejected by this rule."),
            Column("state", "VARCHAR", "open, healed, replaced (another rule rejects it now) or gone (left the DMS)."),
            RAW_SEQ,
            Column("source", "VARCHAR", "Where the record came from."),
            RUN,
        ),
    ),
    Table(
        "dms_field",
        "One row per field that a dealer's DMS has sent and form in which it came; never a value.",
        (
            DEALER,
            RAW_ENTITY,
            Column("field", "VARCHAR", "The DMS's name of the field; empty in the row that counts the records."),
            Column("shape", "VARCHAR", "empty, text, number, list, object; of a date its digits as 9."),
            Column("records", "BIGINT", "Records looked at in which it came so."),
            Column("first_seen_at", "TIMESTAMPTZ", "When it first came so."),
            Column("last_seen_at", "TIMESTAMPTZ", "When it last came so."),
            Column("missing", "BIGINT", "Records looked at since that lacked the field; 0 when it came in the last."),
        ),
    ),
    Table(
        "document_dirty",
        "Appointments whose document may have changed since it was last compared.",
        (DEALER, NUMBER),
    ),
    Table(
        "document",
        "One row per appointment: the hash of the document that Claire should hold.",
        (
            DEALER,
            NUMBER,
            Column("document_hash", "VARCHAR", "Hash of the document made from staging."),
            Column("is_open", "BOOLEAN", "Whether the work order is not billed."),
            Column(
                "is_owed", "BOOLEAN", "Whether Claire should get it: it was staged open, or its history was asked for."
            ),
            Column("appointment_date", "DATE", "Day of the appointment."),
            Column("first_seen_at", "TIMESTAMPTZ", "When the appointment was first staged; waiting counts from here."),
            Column("changed_at", "TIMESTAMPTZ", "When the document last changed."),
        ),
    ),
    Table(
        "acknowledged",
        "One row per appointment that Claire holds: a copy of the state store, for comparing in bulk.",
        (
            DEALER,
            Column("location_id", "VARCHAR", "Claire's location."),
            NUMBER,
            Column("document_hash", "VARCHAR", "Hash of the document that Claire acknowledged last."),
            Column("is_billed", "BOOLEAN", "Whether it is billed in Claire."),
            Column("is_canceled", "BOOLEAN", "Whether it is canceled in Claire."),
            Column("appointment_date", "DATE", "Its day in Claire."),
            Column("change_number", "BIGINT", "The state store's running number of the change."),
        ),
    ),
    Table(
        "delivery",
        "One row per attempt to deliver a document: a copy of the ledger.",
        (
            Column("delivery_id", "BIGINT", "Running number in the ledger."),
            DEALER,
            NUMBER,
            Column("attempted_at", "TIMESTAMPTZ", "When it was sent."),
            Column("result", "VARCHAR", "created, updated, unchanged, rejected, failed or pending."),
            Column("http_status", "INTEGER", "Claire's answer."),
            Column("message", "VARCHAR", "What Claire said, or why it failed."),
            Column("fields_changed", "VARCHAR", "JSON list of {field, old, new}."),
            RUN,
        ),
    ),
    Table(
        "backfilled_month",
        "One row per dealer and month that a backfill was asked for: how the last try went.",
        (
            DEALER,
            Column("month", "VARCHAR", "The month of the appointments, YYYY-MM."),
            Column("tried_at", "TIMESTAMPTZ", "When it was last read."),
            Column("completed_at", "TIMESTAMPTZ", "When it was last read whole; empty when it never was."),
            Column("orders", "BIGINT", "Work orders in it when it was last read whole."),
            Column("error", "VARCHAR", "Why the last try did not read it whole; empty when it did."),
            RUN,
        ),
    ),
    Table(
        "preview",
        "One row per document that the dealer's newest dry run would have sent.",
        (
            DEALER,
            NUMBER,
            Column("result", "VARCHAR", "created or updated."),
            Column("fields_changed", "VARCHAR", "JSON list of {field, old, new}."),
            Column("previewed_at", "TIMESTAMPTZ", "When the dry run was."),
            RUN,
        ),
    ),
)


def current_table(entity: str) -> Table:
    """The table that holds the newest accepted version of each record of ``entity``."""
    declared = tuple(Column(field.name, field.duckdb_type, field.description) for field in fields(entity))
    description = (MODELS[entity].__doc__ or "").strip().splitlines()[0]
    return Table(entity, f"Newest accepted version. {description}", (*declared, OBSERVED, RAW_SEQ, RUN))


def past_table(entity: str) -> Table:
    """The table that holds the versions of ``entity`` that have been replaced."""
    current = current_table(entity)
    moments = (
        Column("valid_from", "TIMESTAMPTZ", "When this version was accepted."),
        Column("valid_to", "TIMESTAMPTZ", "When the next version replaced it."),
    )
    columns = tuple(column for column in current.columns if column.name != "observed_at")
    return Table(f"{entity}_past", f"Replaced versions of {entity}.", (*columns, *moments))


@cache
def all_tables() -> tuple[Table, ...]:
    """Every table of the warehouse."""
    entities = tuple(table for entity in MODELS for table in (current_table(entity), past_table(entity)))
    return BOOKKEEPING + entities


def history_select(entity: str) -> str:
    """SQL of every version of ``entity``, replaced and current (``valid_to`` NULL)."""
    columns = ", ".join(name for name in current_table(entity).column_names if name != "observed_at")
    return (
        f"SELECT {columns}, valid_from, valid_to FROM {entity}_past "
        f"UNION ALL SELECT {columns}, observed_at AS valid_from, NULL::TIMESTAMPTZ AS valid_to FROM {entity}"
    )
