"""How a field is declared: its type, and everything that is derived from it.

A field of an entity is declared once, as an attribute of a class in this folder. Its DuckDB column and comment, the
pandera schema that guards it, the names asked of the DMS, the Claire document, the lineage, the dictionary and the
analysts' masking are all read from there. Nothing here imports pandera: it takes seconds, and most commands only ask
what the fields are.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args, get_type_hints

if TYPE_CHECKING:
    import pandera.pandas as pa

Evidence = Literal["D", "O", "A"]
"""D documented by the vendor, O observed in working clients, A assumed."""

Empty = Literal["required", "clear", "keep", "false"]
"""What an empty value does in Claire: never empty, clears the field, keeps what Claire has, or counts as false."""

Pii = Literal["P", "F"]
"""P personal (pseudonymised for analysts), F free text that may hold personal data (left out for analysts)."""

Text = Annotated[Any, "VARCHAR"]
Moment = Annotated[Any, "TIMESTAMPTZ"]
Day = Annotated[Any, "DATE"]
Flag = Annotated[Any, "BOOLEAN"]
Whole = Annotated[Any, "BIGINT"]
Money = Annotated[Any, "DECIMAL(12,2)"]


@dataclass(frozen=True, slots=True)
class FieldInfo:
    """One declared field, as the rest of the product reads it.

    ``dms`` are the names in the Autoflex API (several are joined with a space, or are fallbacks, as the description
    says); ``claire`` is the path in the appointment document; ``wanted`` marks fields of other DMS links that Autoflex
    has no name for yet; ``checks`` are pandera's, by name, over what staging accepted.
    """

    entity: str
    name: str
    duckdb_type: str
    nullable: bool
    description: str
    dms: tuple[str, ...]
    evidence: Evidence | None
    header: tuple[str, ...]
    claire: str | None
    empty: Empty | None
    pii: Pii | None
    key: bool
    wanted: bool
    checks: Mapping[str, Any] = field(hash=False)


class Entity:
    """What the entities have in common: attributes declared with ``column``, annotated with their type."""

    @classmethod
    def to_schema(cls) -> pa.DataFrameSchema:
        """The pandera schema of accepted rows: these columns and no others, one row a key. Imports pandera."""
        from autoflex_pipeline.model.schemas import schema_of

        return schema_of(entity_name(cls))


def column(
    description: str,
    *,
    dms: str | tuple[str, ...] = (),
    evidence: Evidence | None = None,
    header: str | tuple[str, ...] = (),
    claire: str | None = None,
    empty: Empty | None = None,
    pii: Pii | None = None,
    key: bool = False,
    wanted: bool = False,
    **checks: Any,
) -> Any:
    """Declare a field; ``checks`` are pandera's (``ge``, ``str_length``, …) and guard what staging accepted."""
    return {
        "nullable": not key and empty not in ("required", "false"),
        "description": description,
        "dms": (dms,) if isinstance(dms, str) else dms,
        "evidence": evidence,
        "header": (header,) if isinstance(header, str) else header,
        "claire": claire,
        "empty": empty,
        "pii": pii,
        "key": key,
        "wanted": wanted,
        "checks": checks,
    }


def wanted(description: str, *, claire: str, pii: Pii | None = None) -> Any:
    """Declare a field that other DMS links have: nullable, sent only when it holds something."""
    return column(description, claire=claire, empty="keep", pii=pii, wanted=True)


def entity_name(model: type[Entity]) -> str:
    """The entity that ``model`` declares, such as appointment."""
    return model.__name__.lower()


def declared_fields(model: type[Entity]) -> tuple[FieldInfo, ...]:
    """The fields of ``model`` in the order of declaration."""
    return tuple(
        FieldInfo(entity=entity_name(model), name=name, duckdb_type=get_args(hint)[1], **vars(model)[name])
        for name, hint in get_type_hints(model, include_extras=True).items()
    )
