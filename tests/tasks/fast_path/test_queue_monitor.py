"""An idle worker helps where a queue stands still or would not be empty in time."""

import pytest

from tasks.fast_path.queue_monitor import QueueMonitor


def looked(before: int, now: int, left_ms: float) -> list[str]:
    lookout = QueueMonitor()
    lookout.check({"ticks.1": before}, 1000.0, left_ms + 100.0)
    lookout.check({"ticks.1": now}, 1100.0, left_ms)
    return lookout.helped


@pytest.mark.parametrize(
    ("before", "now", "left_ms"),
    [
        (50, 50, 900.0),  # its worker is gone
        (1, 1, 900.0),
        (90, 60, 100.0),  # done in 200 ms, 100 too late
    ],
)
def test_a_queue_that_would_be_late_is_helped(before: int, now: int, left_ms: float) -> None:
    assert looked(before, now, left_ms) == ["ticks.1"]


@pytest.mark.parametrize(
    ("before", "now", "left_ms"),
    [
        (90, 60, 300.0),  # done in 200 ms
        (50, 0, 0.0),
        (0, 0, 900.0),
        (10, 400, 900.0),  # new ticks came: their worker may take them
    ],
)
def test_a_queue_that_is_done_in_time_is_left_alone(before: int, now: int, left_ms: float) -> None:
    assert looked(before, now, left_ms) == []


def test_one_look_tells_nothing() -> None:
    lookout = QueueMonitor()

    lookout.check({"ticks.1": 50}, 1000.0, 900.0)

    assert lookout.helped == []


def test_who_has_work_of_its_own_helps_nobody() -> None:
    lookout = QueueMonitor()
    lookout.check({"ticks.1": 50}, 1000.0, 900.0)
    lookout.check({"ticks.1": 50}, 1100.0, 800.0)

    lookout.pause()

    assert lookout.helped == []
    lookout.check({"ticks.1": 50}, 1200.0, 700.0)
    assert lookout.helped == []
