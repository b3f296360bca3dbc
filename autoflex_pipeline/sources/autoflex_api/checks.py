"""Which names of the protocol hold on a live connection: what ``doctor`` shows, in about twenty requests.

A name that cannot be judged, because the dealer has no row to judge by, is neither right nor wrong (``ok`` is None).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from msgspec import UNSET

from autoflex_pipeline.errors import SourceError
from autoflex_pipeline.model import RAW_ENTITIES, dms_name
from autoflex_pipeline.sources.autoflex_api import names
from autoflex_pipeline.sources.autoflex_api.body import as_text, read_fields
from autoflex_pipeline.sources.autoflex_api.client import Tally
from autoflex_pipeline.sources.autoflex_api.pages import Page
from autoflex_pipeline.sources.autoflex_api.question import Filter, Question, is_flag_set
from autoflex_pipeline.sources.autoflex_api.reading import AutoflexApi

NO_ROW = "no row to judge by"


@dataclass(frozen=True, slots=True)
class NameCheck:
    """Whether one name holds: ``ok`` is None when that could not be judged. ``detail`` never holds a record's data."""

    name: str
    evidence: names.Evidence
    ok: bool | None
    detail: str


@dataclass(slots=True)
class _Inspection:
    api: AutoflexApi
    tally: Tally = field(default_factory=Tally)
    checks: list[NameCheck] = field(default_factory=list)

    def note(self, name: str, evidence: names.Evidence, ok: bool | None, detail: str) -> None:
        self.checks.append(NameCheck(name, evidence, ok, detail))

    def page(self, name: str, evidence: names.Evidence, question: Question, number: int = 1) -> Page | None:
        """A page; None, with the error noted under ``name``, when it cannot be read."""
        try:
            return self.api.connection.fetch_page(question, number, self.tally)
        except SourceError as error:
            self.note(name, evidence, False, str(error))
            return None


def doctor_checks(api: AutoflexApi) -> list[NameCheck]:
    """Check every name on a live connection. LoginRefusedError when the login is refused: no more can be said then."""
    inspection = _Inspection(api)
    if not _check_login(inspection):
        return inspection.checks
    _check_lists(inspection)
    for entity in RAW_ENTITIES.values():
        first = inspection.page(f"GET {entity}", names.endpoint_evidence(entity), Question(entity))
        if first is not None:
            inspection.note(f"GET {entity}", names.endpoint_evidence(entity), True, f"{first.rows} rows on page 1")
            _check_fields(inspection, entity, first)
            _check_paging(inspection, entity, first)
            _check_id_filters(inspection, entity, first)
            if entity == names.ORDER.text:
                _check_order_filters(inspection, first)
    return inspection.checks


def _check_login(inspection: _Inspection) -> bool:
    try:
        login = inspection.api.connection.login(inspection.tally)
    except SourceError as error:
        inspection.note("login", "O", False, str(error))
        return False
    inspection.note("login", "O", True, "the credentials are accepted")
    differs = urlsplit(login.api_url)[:3] != urlsplit(inspection.api.connection.api.login_url)[:3]
    inspection.note(
        f"login {names.API_URL.text}",
        names.API_URL.evidence,
        True if differs else None,
        "differs from login_url" if differs else "is the same as login_url, unlike what was observed",
    )
    inspection.note(
        f"login {names.VALID_UNTIL.text}",
        names.VALID_UNTIL.evidence,
        login.valid_until is not None,
        "lies ahead, in the dealer's time zone"
        if login.valid_until
        else "is unreadable or past: check the dealer's timezone and this machine's clock",
    )
    return True


def _check_lists(inspection: _Inspection) -> None:
    for name in (names.ORDER_TYPES, names.FUEL_CODES):
        title = f"{names.UTIL_LIST.text} {name.text}"
        try:
            codes = inspection.api.code_list(name.text)
        except SourceError as error:
            inspection.note(title, name.evidence, False, str(error))
            continue
        inspection.note(
            title,
            name.evidence,
            codes is not None,
            f"{len(codes)} codes" if codes is not None else "has neither known shape",
        )
        if codes is not None and name is names.ORDER_TYPES:
            code = codes.get(names.WORKSHOP)
            expected = names.KNOWN_ORDER_TYPES[names.WORKSHOP]
            inspection.note("order type WORKSHOP", "D", code == expected, f"has code {code}, expected {expected}")


def _check_fields(inspection: _Inspection, entity: str, page: Page) -> None:
    asked = names.requested_fields(entity)
    rows = [dict(zip(asked, read_fields(row.text, *asked), strict=True)) for row in page.found]
    for name in asked:
        evidence = names.field_evidence(entity, name)
        present = sum(row[name] is not UNSET for row in rows)
        filled = sum(row[name] is not UNSET and row[name] not in (None, "") for row in rows)
        detail = f"in {present} of {len(rows)} rows, filled in {filled}" if rows else NO_ROW
        if name == names.optional_field():
            consequence = "" if filled else "; lines of unchanged orders are read again within reread_budget"
            inspection.note(f"{entity}.{name}", evidence, True if filled else None, detail + consequence)
        else:
            inspection.note(f"{entity}.{name}", evidence, present > 0 if rows else None, detail)


def _check_paging(inspection: _Inspection, entity: str, first: Page) -> None:
    title = f"{entity} {names.PAGE.text}=2"
    if first.is_last or not first.keys:
        inspection.note(title, names.PAGE.evidence, None, "there is one page only" if first.rows else NO_ROW)
        return
    second = inspection.page(title, names.PAGE.evidence, Question(entity), 2)
    if second is not None:
        differs = not second.keys or not second.keys <= first.keys
        inspection.note(title, names.PAGE.evidence, differs, "brings other rows" if differs else "brings page 1 again")


def _check_id_filters(inspection: _Inspection, entity: str, first: Page) -> None:
    for filtered in dict.fromkeys((names.id_field(entity), names.parent_field(entity) or names.id_field(entity))):
        title = f"{entity} {names.FILTER.text}={filtered}[{names.EQ.text}]"
        values = [text for row in first.found if (text := as_text(read_fields(row.text, filtered)[0]))]
        evidence = names.field_evidence(entity, filtered)
        if len(set(values)) < 2:
            inspection.note(title, evidence, None, NO_ROW)
            continue
        answer = inspection.page(title, evidence, Question(entity, Filter(filtered, values[0])))
        if answer is None:
            continue
        found = {as_text(read_fields(row.text, filtered)[0]) for row in answer.found}
        ok = found == {values[0]}
        wrong = "finds nothing, though the record is there" if not found else "is ignored: whole pages are read instead"
        inspection.note(title, evidence, ok, "is honoured" if ok else wrong)


def _check_order_filters(inspection: _Inspection, first: Page) -> None:
    billed = dms_name("appointment", "is_billed")
    workshop = str(names.KNOWN_ORDER_TYPES[names.WORKSHOP])
    _check_filter(inspection, first, Filter(billed, "0"), is_flag_set)
    _check_filter(inspection, first, Filter(names.ORDER_TYPE.text, workshop), lambda value: as_text(value) != workshop)


def _check_filter(inspection: _Inspection, first: Page, asked: Filter, unwanted: Callable[[object], bool]) -> None:
    """Judge a filter by whether rows that it should keep out, and that are known to exist, stay out."""
    title = f"{names.ORDER.text} {names.FILTER.text}={asked}"
    evidence = names.field_evidence(names.ORDER.text, asked.field)
    answer = inspection.page(title, evidence, Question(names.ORDER.text, asked))
    if answer is None:
        return
    came = any(unwanted(read_fields(row.text, asked.field)[0]) for row in answer.found)
    exist = any(unwanted(read_fields(row.text, asked.field)[0]) for row in first.found)
    if came:
        inspection.note(title, evidence, False, "is ignored: the rows are sorted out here, at the cost of reading them")
    else:
        inspection.note(title, evidence, True if exist else None, "is honoured" if exist else NO_ROW)
