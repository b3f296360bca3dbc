"""What Claire is asked before a document goes: whether work has started, whether it has what is gone at all."""

from __future__ import annotations

import pytest

from autoflex_pipeline.claire.client import ClaireUnreachableError
from autoflex_pipeline_tests.unit.claire.bench import Bench, known


def test_a_cancel_of_what_is_gone_goes_only_when_claire_has_it_or_has_said_so(bench: Bench) -> None:
    bench.claire.statuses |= {"7": None, "8": "New entry", "9": ClaireUnreachableError("down")}
    gone = {number: known(number, is_unanswered=True, is_gone=True) for number in "789"}
    has_it = known("6", is_acknowledged=True, is_gone=True)
    bench.send(
        *(bench.intent(number, candidate=each) for number, each in gone.items()), bench.intent("6", candidate=has_it)
    )
    assert bench.claire.imported == ["6", "8"]
    assert bench.ends() == {"6": "created", "7": "absent", "8": "created", "9": "withdrawn"}
    assert bench.dispositions() == {"9": ("failed", "transport", "down")}
    assert bench.sender.tally.results["7"] == "absent"


def test_once_work_has_started_an_update_is_held_where_importing_ends(bench: Bench) -> None:
    bench.another_run(keep_importing=False)
    bench.claire.statuses = {"c1": "Control started", "2": "Control started", "c3": "New entry"}
    tally = bench.send(
        bench.intent("1", candidate=known("1"), claire_id="c1"),
        bench.intent("2", candidate=known("2", is_unanswered=True)),
        bench.intent("3", candidate=known("3"), claire_id="c3"),
        bench.intent("4"),
    )
    assert sorted(bench.claire.asked) == [
        ("101", "2", False),
        ("id", "c1", False),
        ("id", "c3", False),
        ("import", "3", False),
        ("import", "4", False),
    ]
    assert tally.results == {"1": "held", "2": "held", "3": "created", "4": "created"}
    why = "Claire has it as 'Control started': work has started, and keep_importing is off for this dealer"
    assert bench.dispositions() == dict.fromkeys("12", ("held", "work_started", why))
    assert bench.ends() == {"1": "withdrawn", "2": "withdrawn", "3": "created", "4": "created"}
    assert tally.has_answer
    assert not bench.sender.is_without_answer


def test_where_importing_goes_on_no_status_is_asked_for(bench: Bench) -> None:
    bench.send(bench.intent("7", candidate=known(), claire_id="c7"))
    assert bench.claire.asked == [("import", "7", False)]


def test_a_status_that_cannot_be_had_is_a_document_without_an_answer(bench: Bench) -> None:
    bench.another_run(keep_importing=False)
    bench.claire.statuses["c7"] = ClaireUnreachableError("no answer")
    tally = bench.send(bench.intent("7", candidate=known(), claire_id="c7"))
    assert bench.dispositions() == {"7": ("failed", "transport", "no answer")}
    assert tally.results == {"7": "failed"}
    assert bench.claire.imported == []
    assert bench.ends() == {"7": "withdrawn"}


def test_a_status_that_a_fault_of_configuration_hides_leaves_it_pending(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.another_run(keep_importing=False)

    def refuse(*_: object, **__: object) -> None:
        bench.claire.gate.stop("Claire answered 401")
        raise ClaireUnreachableError("Claire answered 401")

    monkeypatch.setattr(bench.claire, "status_by_id", refuse)
    bench.send(bench.intent("7", candidate=known(), claire_id="c7"))
    assert bench.dispositions() == {"7": ("pending", "configuration", "Claire answered 401")}


def test_who_work_has_started_on_is_known_without_sending(bench: Bench) -> None:
    bench.another_run(keep_importing=False)
    bench.claire.statuses = {"c1": "Control started", "c2": "New entry", "c3": None, "4": None}
    intents = [bench.intent(number, candidate=known(number), claire_id=f"c{number}") for number in "123"]
    gone = bench.intent("4", candidate=known("4", is_unanswered=True, is_gone=True))
    assert bench.sender.would_not_go([*intents, gone]) == {"1": "held", "4": "absent"}
    assert sorted(bench.claire.asked) == [("101", "4", False), *(("id", f"c{number}", False) for number in "123")]


def test_what_failed_in_the_last_run_too_gets_one_request(bench: Bench) -> None:
    bench.another_run(failed_before=("7",), keep_importing=False)
    bench.claire.statuses["c7"] = None
    bench.send(bench.intent("7", candidate=known(), claire_id="c7"), bench.intent("8"))
    assert sorted(bench.claire.asked) == [("id", "c7", True), ("import", "7", True), ("import", "8", False)]
