"""One question to a list of the DMS: which kind, which filter, and which rows of the answer are meant."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from urllib.parse import quote

from msgspec import UNSET

from autoflex_pipeline.errors import SourceError
from autoflex_pipeline.sources.autoflex_api import names
from autoflex_pipeline.sources.autoflex_api.body import Rows, as_text, read_fields_of_all
from autoflex_pipeline.sources.autoflex_api.failures import FilterIgnoredError
from autoflex_pipeline.sources.autoflex_api.pages import Page, Row


@dataclass(frozen=True, slots=True)
class Filter:
    """``field[operator]:value``; a server may ignore one that it does not know, so answers are checked."""

    field: str
    value: str
    operator: str = names.EQ.text

    def __str__(self) -> str:
        return f"{self.field}[{self.operator}]:{self.value}"

    @property
    def shown(self) -> str:
        """As it may be stored: without the value of a field that holds personal data."""
        return f"{self.field}[{self.operator}]:…" if self.field in names.personal_fields() else str(self)


Scope = Callable[[Row], bool]


@dataclass(frozen=True, slots=True)
class Question:
    """What to ask of ``entity`` (a kind of record of the DMS).

    ``judged`` are the fields whose values ``in_scope`` and ``contradicts`` look at: ``in_scope`` says which rows are
    meant, ``contradicts`` which rows prove that the filter was ignored (None: no matter, the rows are sorted here).
    """

    entity: str
    filter: Filter | None = None
    judged: tuple[str, ...] = ()
    in_scope: Scope | None = None
    contradicts: Scope | None = None

    def query(self, page: int, *, without: str | None = None) -> str:
        """The query string, asking for all fields but ``without``; percent-encoded but for the commas between fields.

        SourceError for a value that cannot be sent.
        """
        fields = ",".join(name for name in names.requested_fields(self.entity) if name != without)
        query = f"{names.PAGE.text}={page}&{names.FIELDS.text}={quote(fields, ',')}"
        if self.filter is None:
            return query
        try:
            return f"{query}&{names.FILTER.text}={quote(str(self.filter), safe='')}"
        except UnicodeEncodeError:
            pass
        raise SourceError(f"{self.entity}: the value {self.filter.value!r} is no text that can be asked for")

    def source(self, page: int) -> str:
        """The request as it is stored and shown: order?page=2, order?filter=order_id[eq]:50012."""
        if self.filter is None:
            return f"{self.entity}?{names.PAGE.text}={page}"
        paging = f"&{names.PAGE.text}={page}" if page > 1 else ""
        return f"{self.entity}?{names.FILTER.text}={self.filter.shown}{paging}"

    def page(self, number: int, rows: Rows) -> Page:
        """The page that ``rows`` make; FilterIgnoredError when a row shows that the filter was ignored."""
        source = self.source(number)
        read = self._rows(rows.texts, source)
        if self.contradicts is not None and any(self.contradicts(row) for row in read):
            raise FilterIgnoredError(f"{source}: the DMS ignores this filter")
        return Page(
            number=number,
            found=read if self.in_scope is None else [row for row in read if self.in_scope(row)],
            rows=len(read),
            keys=frozenset([row.key for row in read if row.key is not None]),
            keyless=frozenset([row.text for row in read if row.key is None]),
            has_next=rows.has_next,
        )

    def _rows(self, texts: Sequence[str], source: str) -> list[Row]:
        id_field = names.id_field(self.entity)
        parent_field = names.parent_field(self.entity)
        asked = (id_field, parent_field or id_field, *self.judged)
        # Asked for by its order, a line that comes without naming it is that order's all the same.
        of_order = self.filter.value if self.filter is not None and self.filter.field == parent_field else None
        found = []
        for text, values in zip(texts, read_fields_of_all(texts, *asked), strict=True):
            parent = (as_text(values[1]) or of_order) if parent_field else None
            found.append(Row(text, as_text(values[0]), parent, source, values[2:]))
        return found


def is_flag_set(value: object) -> bool:
    """Whether a boolean of the DMS (0, 1 or null; sometimes as text) says yes."""
    return value is True or as_text(value) == "1"


def is_absent(value: object) -> bool:
    """Whether the row did not have the field, or nothing in it."""
    return value is UNSET or value is None
