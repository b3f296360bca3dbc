"""One message per change of state, for each route, whatever is restarted or asked how often."""

from __future__ import annotations

import pytest
from sqlalchemy import Connection

from autoflex_pipeline.alerts.keeping import keep
from autoflex_pipeline.alerts.kinds import KINDS, SEVERITIES
from autoflex_pipeline.settings import AlertKind
from autoflex_pipeline.state import StateStore
from autoflex_pipeline.state import alerts as store
from autoflex_pipeline.state.alerts import AlertKey
from autoflex_pipeline_tests.unit.alerts.conftest import LOG, LOGIN, SOURCE, Desk, well, wrong

OPENED, WORSE, RECOVERED = (("team", change, "error") for change in ("opened", "worse", "recovered"))


def test_a_trouble_is_told_once_when_it_opens_and_once_when_it_is_over(desk: Desk) -> None:
    assert desk.found(well()) == []
    assert desk.found(wrong()) == [OPENED]
    assert desk.found(wrong()) == []
    assert desk.found(well()) == [RECOVERED]
    assert desk.found(well()) == []


def test_a_restart_repeats_nothing_and_forgets_nothing(desk: Desk) -> None:
    desk.found(wrong())
    desk.store.close()
    desk.store = StateStore(desk.folder / "state.sqlite")
    assert desk.found(wrong()) == []
    assert desk.found(well()) == [RECOVERED]


def test_a_crash_before_the_commit_leaves_the_change_to_be_told(desk: Desk) -> None:
    def dies() -> None:
        with desk.store.begin() as connection:
            keep(connection, desk.settings, [wrong()], desk.now)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        dies()
    assert desk.found(wrong()) == [OPENED]


def test_what_is_not_known_changes_nothing(desk: Desk) -> None:
    desk.found(wrong())
    assert desk.found() == []
    assert desk.found(wrong()) == []


def test_trouble_that_lasts_an_hour_is_told_as_worse_once(desk: Desk) -> None:
    desk.found(wrong())
    assert desk.found(wrong(), minutes=59) == []
    assert desk.found(wrong(), minutes=1) == [("team", "worse", "critical")]
    assert desk.found(wrong(), hours=5) == []
    assert desk.found(well()) == [("team", "recovered", "critical")]


def test_a_kind_that_does_not_worsen_stays_as_it_is(desk: Desk) -> None:
    silent = AlertKey("a", "silent_feed")
    assert desk.found(wrong(silent, "warning")) == [("team", "opened", "warning")]
    assert desk.found(wrong(silent, "warning"), hours=9) == []


def test_twice_as_many_is_worse_and_a_few_more_are_not(desk: Desk) -> None:
    rejected = AlertKey("a", "rejected")
    desk.found(wrong(rejected, "warning", 4))
    assert desk.found(wrong(rejected, "warning", 7)) == []
    assert desk.found(wrong(rejected, "warning", 8)) == [("team", "worse", "warning")]
    assert desk.found(wrong(rejected, "warning", 3)) == []
    assert desk.found(wrong(rejected, "warning", 9)) == []


def test_trouble_that_comes_and_goes_is_told_again_only_after_the_quiet_period(desk: Desk) -> None:
    desk.found(wrong())
    desk.found(well())
    assert desk.found(wrong(), minutes=10) == []
    assert desk.found(well(), minutes=10) == [], "what was not told as open is not told as over"
    assert desk.found(wrong(), minutes=10) == []
    assert desk.found(wrong(), minutes=30) == [OPENED], "it is still there when the quiet period ends"


def test_every_route_is_told_what_it_takes_and_nothing_else(desk: Desk) -> None:
    desk.configure(
        """
        [[alerts]]
        name = "of-b"
        to = "log"
        dealers = ["b"]
        [[alerts]]
        name = "errors"
        to = "log"
        min_severity = "error"
        [[alerts]]
        name = "logins"
        to = "log"
        kinds = ["login"]
        """
    )
    assert desk.found(wrong(SOURCE, "warning")) == []
    assert desk.found(wrong(SOURCE, "error")) == [("errors", "opened", "error")]
    assert desk.found(wrong(LOGIN)) == [("errors", "opened", "error"), ("logins", "opened", "error")]
    assert desk.found(wrong(AlertKey("b", "source"), "warning")) == [("of-b", "opened", "warning")]
    assert desk.found(wrong(AlertKey("", "run_failed", "sync"))) == [("errors", "opened", "error")]


def test_a_dealer_of_its_own_mind_is_told_its_own_way(desk: Desk) -> None:
    routes = LOG + LOG.replace("team", "own")
    desk.configure(routes, a='[dealers.alerts]\nroutes = ["own"]\nmin_severity = "error"\nquiet_minutes = 0\n')
    assert desk.found(wrong(SOURCE, "warning")) == []
    assert desk.found(wrong()) == [("own", "opened", "error")]
    desk.found(well())
    assert desk.found(wrong()) == [("own", "opened", "error")], "quiet_minutes = 0"
    assert len(desk.found(wrong(AlertKey("b", "source"), "warning"))) == 2, "the other dealer is told everywhere"
    desk.configure(routes, a="[dealers.alerts]\nroutes = []\n")
    assert desk.found(wrong(SOURCE)) == []


def test_a_new_route_is_told_what_is_open_and_a_dealer_that_left_is_forgotten(desk: Desk) -> None:
    desk.found(wrong(), wrong(AlertKey("b", "guard")))
    desk.configure(LOG + LOG.replace("team", "new"))
    assert desk.found(wrong()) == [("new", "opened", "error"), ("new", "opened", "error")]
    file = desk.folder / "autoflex.toml"
    file.write_text(file.read_text("utf-8").replace('id = "b"', 'id = "c"'), encoding="utf-8")
    desk.settings = type(desk.settings).model_validate(
        desk.settings.model_dump() | {"dealers": [desk.settings.dealer("a").model_dump()]}
    )
    assert desk.found() == []
    with desk.store.begin() as connection:
        assert set(store.alerts(connection)) == {LOGIN}


def test_a_route_that_is_gone_holds_back_no_message(desk: Desk) -> None:
    desk.found(wrong())
    desk.configure(LOG.replace("team", "other"))
    desk.found()

    def routes(connection: Connection) -> list[str]:
        return [message["route"] for message in store.unsent(connection)]

    with desk.store.begin() as connection:
        assert routes(connection) == ["other"]


@pytest.mark.parametrize("kind", KINDS)
def test_every_message_says_what_where_since_when_and_what_to_do(desk: Desk, kind: AlertKind) -> None:
    key = AlertKey("a", kind)
    desk.found(wrong(key))
    desk.found(well(key))
    with desk.store.begin() as connection:
        opened, recovered = store.unsent(connection)
    assert opened["title"].startswith("[OPENED] Garage A (a): ")
    assert "since 2026-11-24 10:01 CET" in opened["body"]
    assert f"Next step: {KINDS[kind].next_step}" in opened["body"]
    assert f"Runbook: docs/runbook.md#alert_{kind}" in opened["body"]
    assert recovered["title"].startswith("[RECOVERED] Garage A (a): ")
    assert "Over: 2026-11-24 10:02 CET" in recovered["body"]


def test_the_severities_are_in_order() -> None:
    assert SEVERITIES == ("warning", "error", "critical")
