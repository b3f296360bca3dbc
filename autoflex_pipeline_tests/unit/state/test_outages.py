"""A Claire that does not answer is left alone for 1, 2, then every 5 minutes; each dealer's own."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from sqlalchemy import Connection, inspect

from autoflex_pipeline.state.outages import current_outage, end_outage, note_outage

NOW = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def test_the_pause_grows_to_five_minutes_and_since_when_stays(state: Connection) -> None:
    moments = [NOW + timedelta(hours=hour) for hour in range(5)]
    pauses = [note_outage(state, "d", moment - MINUTE, now=moment) - moment for moment in moments]
    assert pauses == [timedelta(minutes=minutes) for minutes in (1, 2, 5, 5, 5)]
    assert current_outage(state, "d") == {
        "dealer_id": "d",
        "since": NOW - MINUTE,
        "tries": 5,
        "next_try_at": moments[-1] + timedelta(minutes=5),
    }


def test_an_answer_ends_it_and_the_next_one_begins_anew(state: Connection) -> None:
    note_outage(state, "d", NOW, now=NOW)
    note_outage(state, "d", NOW, now=NOW)
    end_outage(state, "d")
    assert current_outage(state, "d") is None
    assert note_outage(state, "d", NOW, now=NOW) == NOW + MINUTE


def test_an_outage_is_one_dealers_own(state: Connection) -> None:
    note_outage(state, "d", NOW, now=NOW)
    assert current_outage(state, "e") is None
    note_outage(state, "e", NOW, now=NOW)
    end_outage(state, "e")
    assert current_outage(state, "d") is not None


def test_a_dealer_has_one_outage_of_which_all_is_known(state: Connection) -> None:
    assert inspect(state).get_pk_constraint("outage")["constrained_columns"] == ["dealer_id"]
    assert not any(column["nullable"] for column in inspect(state).get_columns("outage"))
