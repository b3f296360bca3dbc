"""The runbook has a paragraph for every rule, reason to skip, state, hold and check of the program, and no other."""

from __future__ import annotations

import re
from collections import defaultdict
from pathlib import Path

import dagster as dg
import pytest

from autoflex_pipeline.alerts.kinds import KINDS
from autoflex_pipeline.model import MODELS
from autoflex_pipeline.orchestration.build import build_definitions
from autoflex_pipeline.orchestration.checks import dealer_check_name
from autoflex_pipeline.orchestration.resources import Installation
from autoflex_pipeline.runs.status import COUNTS
from autoflex_pipeline.staging.appointment import SKIP_SQL
from autoflex_pipeline.staging.compiling import all_rules
from autoflex_pipeline.state.holds import HoldKind

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "runbook.md").read_text(encoding="utf-8")
CHAPTERS = {
    chapter.splitlines()[0]: {
        part.splitlines()[0]: part for part in re.split(r"^### ", chapter, flags=re.MULTILINE)[1:]
    }
    for chapter in re.split(r"^## ", PAGE, flags=re.MULTILINE)[1:]
}
QUOTED = re.compile(r'"([^"]+)"')

RULES: dict[str, set[tuple[str, str]]] = defaultdict(set)
for _entity in MODELS:
    for _rule in all_rules(_entity):
        RULES[_rule.name].add((str(_rule.severity), _entity))


def test_every_rule_has_its_paragraph_and_no_other_has() -> None:
    assert set(CHAPTERS["Rules"]) == set(RULES)


@pytest.mark.parametrize("rule", sorted(RULES))
def test_the_paragraph_of_a_rule_says_its_severity_and_whose_rule_it_is(rule: str) -> None:
    [severity] = {severity for severity, _ in RULES[rule]}
    said = re.search(r"^\*(\w+): (.+)\*$", CHAPTERS["Rules"][rule], re.MULTILINE)
    assert said is not None
    assert (said[1], set(said[2].split(", "))) == (severity, {entity for _, entity in RULES[rule]})


def test_every_reason_to_skip_an_order_has_its_paragraph() -> None:
    assert set(CHAPTERS["Skipped orders"]) == set(re.findall(r"THEN '(\w+)'", SKIP_SQL))


def test_every_state_that_status_counts_has_its_paragraph() -> None:
    assert set(CHAPTERS["States of a delivery"]) == set(COUNTS)


def test_every_kind_of_hold_has_its_paragraph() -> None:
    assert set(CHAPTERS["Holds"]) == set(HoldKind.__args__)


def test_every_kind_of_alert_has_its_paragraph() -> None:
    assert set(CHAPTERS["Alerts"]) == {f"alert_{kind}" for kind in KINDS}


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> dg.RepositoryDefinition:
    file = tmp_path_factory.mktemp("installation") / "autoflex.toml"
    file.write_text(
        '[claire]\nbase_url = "http://127.0.0.1:1/api"\n'
        '[[dealers]]\nid = "the-dealer"\nname = "The dealer"\nclaire_location_id = "101"\n'
    )
    return build_definitions(Installation(file)).get_repository_def()


def test_every_job_schedule_and_sensor_is_named_on_some_page(repository: dg.RepositoryDefinition) -> None:
    text = "".join(page.read_text(encoding="utf-8") for page in (ROOT / "docs").glob("*.md"))
    jobs = [job for job in repository.get_all_jobs() if not job.name.startswith("__")]
    for one in [*jobs, *repository.schedule_defs, *repository.sensor_defs]:
        assert f"`{one.name}`" in text, f"say in docs/operators.md what {one.name} does"


def test_every_check_has_its_paragraph_and_says_where_it_is_found(repository: dg.RepositoryDefinition) -> None:
    found: dict[str, set[str]] = defaultdict(set)
    for key in repository.asset_graph.asset_check_keys:
        name = "dealer_ID" if key.name == dealer_check_name("the-dealer") else key.name
        found[name].add(key.asset_key.to_user_string())
    assert set(CHAPTERS["Checks"]) == set(found)
    for name, assets in found.items():
        where = next(line for line in CHAPTERS["Checks"][name].splitlines() if line.startswith("- **Where**"))
        assert set(re.findall(r"`(\w+)`", where)) - {"_"} == assets


PARAGRAPHS = [(chapter, name) for chapter, parts in CHAPTERS.items() for name in parts]


@pytest.mark.parametrize(("chapter", "name"), PARAGRAPHS)
def test_a_paragraph_says_what_it_means_what_the_desk_notices_what_to_do_and_how_it_heals(
    chapter: str, name: str
) -> None:
    for label in ("Means", "At the desk", "Do", "Heals"):
        assert f"\n- **{label}**: " in CHAPTERS[chapter][name]


def test_the_messages_that_the_runbook_quotes_are_those_of_the_program() -> None:
    """The page once quoted "was read only in part", which no message says."""
    program = " ".join(file.read_text(encoding="utf-8") for file in (ROOT / "autoflex_pipeline").rglob("*.py"))
    spoken = re.sub(r'"\s+f?"', "", re.sub(r"\{[^{}]*\}", "…", program))
    for row in PAGE[PAGE.index("## Messages") :].splitlines():
        if row.startswith('| "'):
            for quoted in QUOTED.findall(row.split("|")[1]):
                assert quoted in spoken, quoted
