"""An answer of an earlier moment holds what was known then, and says what is not kept."""

import math
from collections import Counter

import pytest
import redis

from app.answers.reader import Reader
from app.answers.snapshot import TickerSnapshot
from app.answers.ticker_answer import build_answer
from app.answers.ticker_text import as_text
from app.core.settings import Settings
from app.feeds.simulation import profile_of, simulate
from app.storage.published import EventRecord
from tests.answers.hindsight import TapeInRedis

TICKER = "AAPL"
START_MS = 1_340_287_200_000
MINUTES = 36
HISTORY = 120
MOMENTS = 300
# What the note of such an answer says is not kept, and a number that needs the tick size of then.
NOT_KEPT = {"spread_ticks", "as_of"}


@pytest.fixture
def told(
    redis_client: redis.Redis,
    settings: Settings,
    reader: Reader,
    monkeypatch: pytest.MonkeyPatch,
) -> tuple[dict[int, TickerSnapshot], dict[int, TickerSnapshot]]:
    """Give the answers that were given in the last five minutes of a tape, and those of later."""
    tape = TapeInRedis(redis_client, settings, reader, monkeypatch)
    end = START_MS + MINUTES * 60_000
    made = simulate(TICKER, 7, START_MS, MINUTES * 60, profile_of(TICKER))
    seconds = [records for records, _ in made]
    moments = tape.play(TICKER, seconds, START_MS)
    then = tape.given(TICKER, HISTORY, moments, lambda at: at > end - MOMENTS * 1000)
    later = {at: reader.snapshot(TICKER, HISTORY, at_ms=at) for at in then if at < end}
    del then[end]
    return then, later


def by_id(snapshot: TickerSnapshot) -> dict[str, EventRecord]:
    return {event.id: event for event in snapshot.events or ()}


def test_an_answer_of_an_earlier_moment_is_the_one_given_then_but_for_what_it_says(
    told: tuple[dict[int, TickerSnapshot], dict[int, TickerSnapshot]],
) -> None:
    then, later = told
    assert len(later) == MOMENTS - 1
    states: Counter[str] = Counter()
    for at, given in then.items():
        found = later[at]
        assert found.as_of_ms == given.as_of_ms == at
        check_numbers(given, found)
        assert dict(found.quality.counts) == dict(given.quality.counts)
        assert found.evidence_class == given.evidence_class
        known, kept = by_id(given), by_id(found)
        assert kept.keys() == known.keys()
        for event_id, event in kept.items():
            states[check_event(known[event_id], event, at)] += 1
    # Both cases occurred often; whatever was open then and has closed has changed since.
    assert min(states["closed"], states["changed since"]) > MOMENTS


def check_numbers(given: TickerSnapshot, found: TickerSnapshot) -> None:
    """Check that all metrics are equal but those not kept."""
    known = {name: value for name, value in given.metrics.items() if name not in NOT_KEPT}
    kept = {name: value for name, value in found.metrics.items() if name not in NOT_KEPT}
    assert kept.keys() == known.keys()
    for name, value in kept.items():
        expected = known[name]
        if isinstance(value, str) or isinstance(expected, str):
            assert value == expected, name
        else:
            assert math.isclose(value, expected, rel_tol=1e-9, abs_tol=1e-9), name


def check_event(given: EventRecord, found: EventRecord, at: int) -> str:
    """Check an event against the form that it had; return in which state it is told."""
    assert found.noticed_at <= at
    assert (found.type, found.side) == (given.type, given.side)
    assert (found.opened_at, found.noticed_at) == (given.opened_at, given.noticed_at)
    assert (found.status, found.closed_at) == (given.status, given.closed_at)
    if found.statistic is None:
        assert found.return_minutes is None
        assert found.strength is None
        assert found.evidence == {}
        return "changed since"
    assert found == given
    return found.status


def test_its_ages_are_those_of_then_and_its_note_says_what_is_not_kept(
    told: tuple[dict[int, TickerSnapshot], dict[int, TickerSnapshot]],
) -> None:
    then, later = told
    for at, found in later.items():
        answer, given = build_answer(found), build_answer(then[at])
        text = as_text(answer)

        assert answer.note is not None
        assert answer.note.startswith("an earlier moment, as asked; not kept of it: ranks, levels")
        assert (answer.now, answer.age_seconds) == (at, 0)
        assert answer.asked_at == START_MS + MINUTES * 60_000 + 300
        assert " later, quote " in text
        assert answer.newest_quote_age_seconds <= HISTORY
        shown_then = len(given.events or ()) + (given.events_left_out or 0)
        assert len(answer.events or ()) + (answer.events_left_out or 0) == shown_then
        assert not answer.ranks
        assert not answer.levels
        assert not answer.behaviors
        assert answer.session is None
