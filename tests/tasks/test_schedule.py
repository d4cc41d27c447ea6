"""The schedule: on the clock, once an interval, never made up."""

from datetime import UTC, datetime

import pytest

from app.core import clock
from tasks.schedule import ClockSchedule, discovery_phase_ms, newest_beat_ms

EACH_SECOND = ClockSchedule(interval_ms=1000, phase_ms=200)
ABOUT_A_MILLISECOND = 1e-3
WAKING_EARLY_SECONDS = 0.010


@pytest.fixture
def at(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Give the means to set the clock that schedules ask."""
    return monkeypatch


def seconds(value: float) -> datetime:
    return datetime.fromtimestamp(value, tz=UTC)


def due(at: pytest.MonkeyPatch, now_seconds: float, ran_seconds: float) -> tuple[bool, float]:
    at.setattr(clock, "now_ms", lambda: now_seconds * 1000.0)
    state = EACH_SECOND.is_due(seconds(ran_seconds))
    return state.is_due, state.next


@pytest.mark.parametrize(
    ("now_seconds", "ran_seconds", "is_due", "wait_seconds"),
    [
        (100.199, 99.2, False, 0.001),
        (100.200, 99.2, True, 1.0),
        (100.900, 99.2, True, 0.3),
        (100.900, 100.2, False, 0.3),
        (100.900, 100.85, False, 0.3),
    ],
)
def test_is_due_once_in_each_second_at_the_settle_time(
    at: pytest.MonkeyPatch,
    now_seconds: float,
    ran_seconds: float,
    is_due: bool,  # noqa: FBT001 - a row of the table
    wait_seconds: float,
) -> None:
    found, wait = due(at, now_seconds, ran_seconds)

    assert found is is_due
    assert wait - WAKING_EARLY_SECONDS == pytest.approx(wait_seconds, abs=ABOUT_A_MILLISECOND)


def test_beats_that_were_missed_are_not_made_up(at: pytest.MonkeyPatch) -> None:
    after_an_hour, wait = due(at, 3700.25, ran_seconds=100.2)
    again, _ = due(at, 3700.26, ran_seconds=3700.25)

    assert after_an_hour
    assert not again
    assert wait < 1.0


def test_a_run_that_came_late_does_not_shift_the_next_one(at: pytest.MonkeyPatch) -> None:
    _, wait = due(at, 100.7, ran_seconds=99.2)

    assert 100.7 + wait - WAKING_EARLY_SECONDS == pytest.approx(101.2, abs=ABOUT_A_MILLISECOND)


def test_a_clock_set_back_makes_nothing_due(at: pytest.MonkeyPatch) -> None:
    is_due, _ = due(at, 95.5, ran_seconds=100.2)

    assert not is_due


@pytest.mark.parametrize("interval_ms", [1000, 2000, 30_000])
def test_a_tick_is_a_whole_multiple_of_the_interval_that_has_settled(interval_ms: int) -> None:
    now_ms = 1_795_392_823_199.5

    as_of_ms = newest_beat_ms(now_ms, interval_ms, phase_ms=200)

    assert as_of_ms % interval_ms == 0
    assert as_of_ms + 200 <= now_ms < as_of_ms + 200 + interval_ms


@pytest.mark.parametrize(("settle_ms", "phase_ms"), [(0, 750), (200, 950), (900, 650)])
def test_discovery_runs_a_quarter_second_before_the_fan_out(settle_ms: int, phase_ms: int) -> None:
    assert discovery_phase_ms(settle_ms) == phase_ms
