"""From a recipe and the model's declarations to the one query that types, repairs and judges a batch.

The query reads the temporary table ``batch`` (see ``stage.sql``; ``{first}`` and ``{last}`` are its bounds) and gives a
row per raw record of it: the values of the fields, ``skip`` (why it is not staged), ``is_rejected``, and what was
found, NULL where that is nothing: ``hits``, which tells of each rule whether it holds, by its place in ``all_rules``,
and ``befores`` and ``afters``, the texts that rules keep, each once (``kept_at`` has their places). The query is built
in layers, each a SELECT over the one before, in which the columns that ``rules`` names come to be. Besides those:
``odd`` tells that tidying may change a text of the record, ``today`` is the day at the dealer, ``confirmed_at`` and
``returned_at`` are the absence of the order, ``place`` is the place of the line in its order.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Literal

from autoflex_pipeline.model import FieldInfo, fields
from autoflex_pipeline.sql_files import literal
from autoflex_pipeline.staging import appointment, car, intervention, party
from autoflex_pipeline.staging.clock import week_sql
from autoflex_pipeline.staging.rules import (
    READ_SQL,
    STRUCTURAL,
    VALUE_SQL,
    Kind,
    Recipe,
    Rule,
    Severity,
    kind_rules,
)

RECIPES = {recipe.entity: recipe for recipe in (appointment.RECIPE, intervention.RECIPE, car.RECIPE, party.RECIPE)}

LATE_RULES = {"appointment": (appointment.MILEAGE_LOWER,), "intervention": (intervention.ORPHAN,)}
"""Rules that need what is staged already; ``stage.sql`` finds them."""


@dataclass(frozen=True, slots=True)
class Mode:
    """What the batch needs beyond the usual: each costs a join or a second look at the JSON.

    ``drift``: some record lacks a field altogether. ``places``: some line has no number of its own.
    """

    drift: bool = False
    places: bool = False


@cache
def all_rules(entity: str) -> tuple[Rule, ...]:
    """Every rule of the entity; its place in the tuple is its number."""
    recipe = RECIPES[entity]
    by_kind = tuple(rule for info in made_fields(entity) for rule in kind_rules(recipe, info))
    absent = tuple(_absent_rule(info.name) for info in _kept_fields(recipe))
    return (*STRUCTURAL, *by_kind, *recipe.rules, *absent, *LATE_RULES.get(entity, ()))


@cache
def made_fields(entity: str) -> tuple[FieldInfo, ...]:
    """The fields that are read from the DMS's record, all but the key."""
    return tuple(info for info in fields(entity) if info.dms and not info.key)


def _kept_fields(recipe: Recipe) -> tuple[FieldInfo, ...]:
    """Fields that keep their last staged value when the record lacks them."""
    return tuple(info for info in made_fields(recipe.entity) if info.name not in recipe.not_kept)


def _absent_rule(name: str) -> Rule:
    return Rule(
        "field_absent",
        name,
        Severity.WARN,
        f"absent_{name}",
        "The record lacks the field altogether, so its last value was kept; ask the vendor what became of it.",
        before="NULL",
    )


@cache
def typed_query(entity: str, mode: Mode) -> str:
    """The query for ``entity``."""
    recipe = RECIPES[entity]
    moments = [info.name for info in made_fields(entity) if recipe.kind(info) is Kind.MOMENT]
    rules = [(number, rule) for number, rule in enumerate(all_rules(entity)) if rule.when]
    if not mode.drift:
        rules = [(number, rule) for number, rule in rules if rule.name != "field_absent"]
    judged = [(number, rule) for number, rule in rules if rule not in STRUCTURAL]
    layers = [
        _opened(recipe),
        _split(recipe, mode, has_moments=bool(moments)),
        _adding(_texts(recipe), "taken_apart"),
        _adding(_reads(recipe), "tidied"),
        _moments(moments),
        _adding(recipe.helpers, "timed"),
        _adding(_values(recipe, mode), "helped"),
        _adding({f"hit_{number}": rule.when for number, rule in judged}, "made"),
    ]
    names = ("opened", "taken_apart", "tidied", "texts_read", "timed", "helped", "made", "judged")
    steps = ",\n".join(f"{name} AS ({sql})" for name, sql in zip(names, layers, strict=True))
    return f"WITH {steps}\n{_result(recipe, judged)}"


@cache
def kept_at(entity: str) -> tuple[tuple[int, int], ...]:
    """Of every rule the places, from 1, of its texts in ``befores`` and ``afters``."""
    befores, afters = (_kept(entity, which) for which in ("before_sql", "after_sql"))
    return tuple(
        (befores.index(rule.before_sql) + 1, afters.index(rule.after_sql) + 1) if rule.when else (0, 0)
        for rule in all_rules(entity)
    )


def _kept(entity: str, which: Literal["before_sql", "after_sql"]) -> list[str]:
    """The SQL of the texts that the rules of the entity keep, each once."""
    return list(dict.fromkeys(getattr(rule, which) for rule in all_rules(entity) if rule.when))


def _adding(columns: Mapping[str, str], source: str) -> str:
    return "SELECT *" + "".join(f", ({sql}) AS {name}" for name, sql in columns.items()) + f" FROM {source}"


def _names(recipe: Recipe) -> list[str]:
    """The DMS's names to take out of the record, each once."""
    names = dict.fromkeys(name for info in made_fields(recipe.entity) for name in info.dms)
    if recipe.entity == "appointment":
        names[appointment.ORDER_TYPE] = None
    return list(names)


def _opened(recipe: Recipe) -> str:
    spec = json.dumps(dict.fromkeys(_names(recipe), "VARCHAR"))
    return (
        "SELECT seq, dealer_id, record_key, record_key AS dms_number, source, record, "
        f"try(json_transform(record, {literal(spec)})) AS r "
        "FROM raw_record SEMI JOIN batch USING (seq) WHERE seq BETWEEN {first} AND {last}"
    )


def _split(recipe: Recipe, mode: Mode, *, has_moments: bool) -> str:
    columns = [
        "opened.* EXCLUDE (r)",
        "r IS NOT NULL AND starts_with(ltrim(record, E' \\t\\r\\n'), '{') AS is_readable",
        # Whatever tidying removes inside a text is escaped in JSON, not ASCII, DEL, or a doubled space.
        "contains(record, '\\') OR contains(record, '  ') OR contains(record, chr(127))"
        " OR strlen(record) <> length(record) OR strlen(record) > 10000 AS odd",
    ]
    joins = []
    for info in made_fields(recipe.entity):
        for place, name in enumerate(info.dms):
            columns.append(f"r.{_identifier(name)} AS raw_{info.name}{f'_{place + 1}' if place else ''}")
    if recipe.entity == "appointment":
        columns += [f"r.{_identifier(appointment.ORDER_TYPE)} AS order_type", "confirmed_at", "returned_at"]
        joins.append(
            "LEFT JOIN absence ON absence.dealer_id = opened.dealer_id AND absence.dms_number = opened.record_key"
        )
    if has_moments:
        columns += ["timezone", "today"]
        joins.append("LEFT JOIN dealer_clock ON dealer_clock.dealer_id = opened.dealer_id")
    if recipe.entity == "intervention":
        parent = next(info.dms[0] for info in made_fields("intervention") if info.name == "appointment_dms_number")
        columns.append("list_position(line_keys, opened.record_key) AS place" if mode.places else "NULL AS place")
        if mode.places:
            joins.append(
                "LEFT JOIN line_list ON line_list.dealer_id = opened.dealer_id"
                f" AND line_list.order_key = nullif(stripped(r.{_identifier(parent)}), '0')"
            )
    if mode.drift:
        columns += [f"({_is_absent(recipe, info)}) AS absent_{info.name}" for info in _kept_fields(recipe)]
        columns += [f"previous.{info.name} AS previous_{info.name}" for info in _kept_fields(recipe)]
        joins.append(
            f"LEFT JOIN {recipe.entity} AS previous"
            " ON previous.dealer_id = opened.dealer_id AND previous.dms_number = opened.record_key"
        )
    columns.append(f"{_may_lack(recipe)} AS lacks")
    return f"SELECT {', '.join(columns)} FROM opened {' '.join(joins)}"


def _is_absent(recipe: Recipe, info: FieldInfo) -> str:
    each = [f"NOT list_contains(try(json_keys(record)), {literal(name)})" for name in info.dms]
    template = recipe.absent.get(info.name)
    return template.format(*each) if template else " OR ".join(each)


def _may_lack(recipe: Recipe) -> str:
    """Whether the record lacks a field that has to be kept: cheap, and never false where it does."""
    names = dict.fromkeys(name for info in _kept_fields(recipe) for name in info.dms)
    return " OR ".join(
        f"CASE WHEN r.{_identifier(name)} IS NULL THEN NOT contains(record, {literal(json.dumps(name) + ':')})"
        " ELSE false END"
        for name in names
    )


def _texts(recipe: Recipe) -> dict[str, str]:
    return {f"text_{info.name}": recipe.text(info) for info in made_fields(recipe.entity)}


def _reads(recipe: Recipe) -> dict[str, str]:
    return {
        f"read_{info.name}": READ_SQL[recipe.kind(info)].format(text=f"text_{info.name}")
        for info in made_fields(recipe.entity)
    }


def _moments(names: list[str]) -> str:
    columns, joins = [], []
    for name in names:
        week = f"week_{name}"
        columns.append(
            f"moment_of(read_{name}, {week}.changes_until, {week}.before_us, {week}.after_us) AS moment_{name}"
        )
        columns.append(f"read_{name} >= {week}.changes_from AND read_{name} < {week}.changes_until AS resolved_{name}")
        joins.append(
            f"LEFT JOIN zone_week AS {week} ON {week}.timezone = texts_read.timezone"
            f" AND {week}.week = {week_sql(f'read_{name}::DATE')}"
        )
    return f"SELECT {', '.join(['texts_read.*', *columns])} FROM texts_read {' '.join(joins)}"


def _values(recipe: Recipe, mode: Mode) -> dict[str, str]:
    made = {info.name for info in made_fields(recipe.entity)}
    kept = {info.name for info in _kept_fields(recipe)} if mode.drift else set()
    columns = {}
    for info in fields(recipe.entity):
        if info.key:
            continue
        if info.name not in made:
            columns[info.name] = f"NULL::{info.duckdb_type}"
            continue
        default = VALUE_SQL.get(recipe.kind(info), "read_{field}").format(field=info.name)
        sql = recipe.values.get(info.name, default)
        if info.name in kept:
            last = recipe.kept.get(info.name, f"previous_{info.name}")
            sql = f"CASE WHEN absent_{info.name} THEN {last} ELSE {sql} END"
        if info.empty == "false":
            sql = f"coalesce({sql}, false)"
        columns[info.name] = sql
    return columns


def _result(recipe: Recipe, judged: list[tuple[int, Rule]]) -> str:
    skip = appointment.SKIP_SQL if recipe.entity == "appointment" else "NULL::VARCHAR"
    broken = " OR ".join(f"({rule.when})" for rule in STRUCTURAL)
    some = " OR ".join(f"hit_{number}" for number, _ in judged)
    rejected = " OR ".join(f"hit_{number}" for number, rule in judged if rule.severity is Severity.REJECT)
    # A place in the list is a rule's number: rules that are not judged here come last in all_rules.
    structural = ", ".join(rule.when for rule in STRUCTURAL)
    others = ", ".join(["false" for _ in STRUCTURAL] + [f"hit_{number}" for number, _ in judged])
    befores = ", ".join(f"({sql})::VARCHAR" for sql in _kept(recipe.entity, "before_sql"))
    afters = ", ".join(f"({sql})::VARCHAR" for sql in _kept(recipe.entity, "after_sql"))
    unplaced = "read_position IS NULL" if recipe.entity == "intervention" else "false"
    values = ", ".join(info.name for info in fields(recipe.entity) if not info.key)
    return f"""
        SELECT seq, dealer_id, dms_number, source, {values},
            is_usable AND lacks AS lacks, is_usable AND {unplaced} AS unplaced, skip,
            NOT is_usable OR (skip IS NULL AND coalesce({rejected}, false)) AS is_rejected,
            CASE WHEN is_told THEN CASE WHEN is_usable THEN [{others}] ELSE [{structural}] END END AS hits,
            CASE WHEN is_told THEN [{befores}] END AS befores,
            CASE WHEN is_told THEN [{afters}] END AS afters
        FROM (
            SELECT *, coalesce(NOT ({broken}), false) AS is_usable, CASE WHEN is_usable THEN {skip} END AS skip,
                NOT is_usable OR (skip IS NULL AND ({some})) AS is_told
            FROM judged
        )
    """


def _identifier(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
