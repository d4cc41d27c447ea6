"""How busy the machine was is known of the moments of a test."""

from pathlib import Path

import pytest

from tests.processes import wait_until
from tests.timing import Sample, read_samples, slowdown, watched_machine

IDLE = [Sample(began, 0.03, 0.03) for began in (0.0, 0.25, 0.5, 0.75)]


def test_an_idle_machine_makes_nothing_slower() -> None:
    assert slowdown(IDLE, 1.0) == 1.0
    assert slowdown([], 1.0) == 1.0


def test_the_worst_moments_count_and_a_short_wait_among_them_little() -> None:
    busy = [Sample(began, 0.06, 0.03) for began in (1.0, 1.25, 1.5, 1.75)]
    once = [Sample(2.0, 0.12, 0.03)]

    assert slowdown([*IDLE, *busy], 0.75) == 2.0
    assert slowdown([*IDLE, *once], 10.0) == pytest.approx(0.24 / 0.15)


def test_what_takes_longer_than_promised_fails_unless_the_machine_is_the_cause(
    tmp_path: Path,
) -> None:
    log = tmp_path / "machine.log"
    with watched_machine(log) as assert_within:
        wait_until(lambda: len(read_samples(log)) >= 2, "it was measured")
        assert_within(1, 0.9)
        with pytest.raises(AssertionError, match="promised are 1 s on an idle machine"):
            assert_within(1, 1000)
