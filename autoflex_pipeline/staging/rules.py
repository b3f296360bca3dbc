"""A rule, a recipe, and the rules that every field of a kind has.

A recipe says how the fields of an entity are read from the DMS's texts. Everything in it is SQL over these columns:

- ``raw_<field>``: the text of the field's first name in the DMS (``raw_<field>_2`` of its second), NULL when empty;
- ``text_<field>``: that text tidied, or without outer spaces and NULL when nothing is left;
- ``read_<field>``: it read as the field's kind, NULL when it cannot be read;
- ``moment_<field>``, ``resolved_<field>``: for times, the moment and whether a clock change had to be resolved;
- the recipe's helpers; then ``<field>``: the value that is staged;
- ``odd``, ``today``, ``confirmed_at``, ``returned_at``: see ``compiling``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from autoflex_pipeline.model import FieldInfo


class Severity(StrEnum):
    """What a rule does: normalise a value, pass it on and say so, or send the row to quarantine."""

    REPAIR = "repair"
    WARN = "warn"
    REJECT = "reject"


@dataclass(frozen=True, slots=True)
class Rule:
    """``name`` holds for ``field`` where the SQL ``when`` is true; ``before`` and ``after`` are SQL texts to keep."""

    name: str
    field: str
    severity: Severity
    when: str
    hint: str
    before: str | None = None
    after: str | None = None

    @property
    def before_sql(self) -> str:
        """The value as the DMS gave it."""
        return self.before if self.before is not None else f"raw_{self.field}"

    @property
    def after_sql(self) -> str:
        """The value after a repair."""
        if self.after is not None:
            return self.after
        return f"{self.field}::VARCHAR" if self.severity is Severity.REPAIR else "NULL"


class Kind(StrEnum):
    """How the text of a field is read."""

    LINE = "line"
    NOTES = "notes"
    REFERENCE = "reference"
    FLAG = "flag"
    MOMENT = "moment"
    DAY = "day"
    WHOLE = "whole"
    MONEY = "money"


BY_TYPE = {
    "VARCHAR": Kind.LINE,
    "BOOLEAN": Kind.FLAG,
    "TIMESTAMPTZ": Kind.MOMENT,
    "DATE": Kind.DAY,
    "BIGINT": Kind.WHOLE,
    "DECIMAL(12,2)": Kind.MONEY,
}

TEXT_SQL = {Kind.LINE: "line_text({source}, odd)", Kind.NOTES: "notes_text({source}, odd)"}
"""How a text is tidied; of other kinds it is merely stripped."""

READ_SQL = {
    Kind.LINE: "nullif(cut({text}), '')",
    Kind.NOTES: "unless_blank(cut({text}))",
    Kind.REFERENCE: "nullif({text}, '0')",
    Kind.FLAG: "read_flag({text})",
    Kind.MOMENT: "read_local({text})",
    Kind.DAY: "read_local({text})::DATE",
    Kind.WHOLE: "read_whole({text})",
    Kind.MONEY: "plain_number({text})",
}

VALUE_SQL = {
    Kind.MOMENT: "moment_{field}",
    Kind.WHOLE: "try_cast(read_{field} AS BIGINT)",
    Kind.MONEY: "try_cast(read_{field} AS DECIMAL(12,2))",
}
"""The staged value where it is not ``read_<field>`` itself."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """How an entity is made; what is not named here follows from the type of the field.

    ``kinds``, ``raws`` and ``sources`` (of a field with several names: the text to show, and the one to read) and
    ``values`` are by field. ``helpers`` are columns computed from what was read, before the values. ``normalised``
    tells when a text was brought to a form of its own, which has its own rule. ``not_kept`` are fields of which an
    absent value counts as empty; ``absent`` tells for a field of several names when it counts as absent, ``kept`` what
    is kept then, where that is not ``previous_<field>``.
    """

    entity: str
    kinds: Mapping[str, Kind] = field(default_factory=dict)
    raws: Mapping[str, str] = field(default_factory=dict)
    sources: Mapping[str, str] = field(default_factory=dict)
    helpers: Mapping[str, str] = field(default_factory=dict)
    values: Mapping[str, str] = field(default_factory=dict)
    rules: tuple[Rule, ...] = ()
    normalised: Mapping[str, str] = field(default_factory=dict)
    not_kept: frozenset[str] = frozenset()
    absent: Mapping[str, str] = field(default_factory=dict)
    kept: Mapping[str, str] = field(default_factory=dict)

    def kind(self, info: FieldInfo) -> Kind:
        """How the field is read."""
        return self.kinds.get(info.name, BY_TYPE[info.duckdb_type])

    def raw(self, name: str) -> str:
        """SQL of the text as the DMS gave it."""
        return self.raws.get(name, f"raw_{name}")

    def text(self, info: FieldInfo) -> str:
        """SQL of the text to read: tidied, or stripped."""
        source = self.sources.get(info.name, f"raw_{info.name}")
        return TEXT_SQL.get(self.kind(info), "stripped({source})").format(source=source)


STRUCTURAL = (
    Rule(
        "key_missing",
        "dms_number",
        Severity.REJECT,
        "record_key IS NULL",
        "The record has no number of its own; find it in the DMS by its other values and have the vendor look at it.",
        before="NULL",
    ),
    Rule(
        "record_unreadable",
        "record",
        Severity.REJECT,
        "record_key IS NOT NULL AND NOT is_readable",
        "The record is no JSON object; look at it in raw_record and have the source corrected.",
        before="left(record, 200)",
    ),
)
"""A row that one of these holds for is judged no further. ``record`` is no field: nothing of it can be told."""


def kind_rules(recipe: Recipe, info: FieldInfo) -> tuple[Rule, ...]:
    """The rules that a field has because of its kind."""
    kind, name = recipe.kind(info), info.name
    if kind in (Kind.LINE, Kind.NOTES):
        return _text_rules(name, recipe.raw(name), unless=recipe.normalised.get(name, "false"))
    if kind is Kind.MOMENT:
        return _moment_rules(name)
    # A field that must be there rejects the row by a rule of its own.
    is_own = kind is Kind.DAY and info.empty == "required"
    if kind in (Kind.FLAG, Kind.DAY, Kind.WHOLE) and not is_own:
        return (_unreadable(name, f"read_{name}"),)
    return ()


def _text_rules(name: str, raw: str, unless: str) -> tuple[Rule, ...]:
    return (
        Rule(
            "text_cut",
            name,
            Severity.REPAIR,
            f"is_too_long(text_{name})",
            "The text was longer than 10,000 characters; shorten it in the DMS.",
            before=raw,
        ),
        Rule(
            "text_cleaned",
            name,
            Severity.REPAIR,
            f"{raw} <> CASE WHEN is_too_long(text_{name}) THEN text_{name} ELSE coalesce({name}, '') END"
            f" AND ({unless}) IS NOT TRUE",
            "Control characters and needless spaces were removed; nothing to do.",
            before=raw,
        ),
    )


def _moment_rules(name: str) -> tuple[Rule, ...]:
    return (
        _unreadable(name, f"moment_{name}"),
        Rule(
            "time_missing",
            name,
            Severity.REPAIR,
            f"is_day_only(text_{name}) AND moment_{name} IS NOT NULL",
            "Only a day was given, 00:00 local time was taken; nothing to do.",
            after=f"strftime(read_{name}, '%Y-%m-%dT%H:%M:%S')",
        ),
        Rule(
            "clock_change_resolved",
            name,
            Severity.REPAIR,
            f"resolved_{name}",
            "The local time does not exist, or exists twice, in the night the clock changes; check it in the DMS.",
        ),
    )


def _unreadable(name: str, value: str) -> Rule:
    return Rule(
        "value_unreadable",
        name,
        Severity.WARN,
        f"{value} IS NULL AND text_{name} IS NOT NULL",
        "The value was left out because it cannot be read; correct it in the DMS.",
    )
