"""The sample of ticks that monitoring tools see: bounded each second, all tickers in turn."""

import math
from itertools import chain, zip_longest

import pytest

from tasks.tick_sampler import TickSampler


class Clock:
    """A clock that the test sets, in milliseconds."""

    now_ms = 0.0

    def __call__(self) -> float:
        """Return the time."""
        return self.now_ms


def seconds_of(sampler: TickSampler, clock: Clock, tickers: list[str], seconds: int) -> list[str]:
    """Return the tickers chosen in each second, joined."""
    chosen = []
    for second in range(1, seconds + 1):
        clock.now_ms = second * 1000.0 + 200
        chosen.append("".join(it for it in tickers if sampler.takes(it, second * 1000)))
    return chosen


def test_all_tickers_have_their_turn() -> None:
    clock = Clock()

    assert seconds_of(TickSampler(2, clock), clock, [*"ABCDE"], 6) == [
        "AB", "CD", "E", "AB", "CD", "E",
    ]  # fmt: skip


def test_fewer_tickers_than_allowed_are_chosen_each_second() -> None:
    clock = Clock()

    assert seconds_of(TickSampler(20, clock), clock, [*"ABC"], 3) == ["ABC", "ABC", "ABC"]


def test_none_are_chosen_where_none_are_allowed() -> None:
    clock = Clock()

    assert seconds_of(TickSampler(0, clock), clock, [*"ABC"], 2) == ["", ""]


def test_asked_twice_about_a_tick_it_answers_the_same() -> None:
    clock = Clock()
    sampler = TickSampler(1, clock)

    assert [sampler.takes("A", 1000), sampler.takes("A", 1000)] == [True, True]
    assert [sampler.takes("B", 1000), sampler.takes("B", 1000)] == [False, False]


def test_a_second_that_is_late_has_no_more_than_its_own_number() -> None:
    clock = Clock()
    sampler = TickSampler(2, clock)
    clock.now_ms = 5000.0

    chosen = [sampler.takes(ticker, as_of) for as_of in (3000, 4000) for ticker in "ABC"]

    assert sum(chosen) == 2


@pytest.mark.parametrize("most", [1, 3, 4])
@pytest.mark.parametrize("done_before_the_second_ends", range(11))
def test_all_tickers_have_their_turn_wherever_in_a_fan_out_the_second_ends(
    most: int, done_before_the_second_ends: int
) -> None:
    clock = Clock()
    sampler = TickSampler(most, clock)
    tickers = [f"T{number:02}" for number in range(10)]
    rounds = math.ceil(len(tickers) / most)
    shown: list[tuple[str, float]] = []
    for second in range(1, 4 * rounds):
        for number, ticker in enumerate(tickers):
            clock.now_ms = (second + (number >= done_before_the_second_ends)) * 1000.0
            if sampler.takes(ticker, second * 1000):
                shown.append((ticker, clock.now_ms))

    # Beside the rounds, a second for one that began before, and one for one that is cut off.
    for first in range(1, 2 * rounds):
        of_some_seconds = {it for it, at in shown if first <= at // 1000 < first + 2 * rounds + 2}
        assert of_some_seconds == {*tickers}
    by_second = [at // 1000 for _, at in shown]
    assert max(map(by_second.count, by_second)) <= most


@pytest.mark.parametrize("is_mixed", [False, True])
def test_all_tickers_of_a_worker_that_serves_two_shards_have_their_turn(*, is_mixed: bool) -> None:
    clock = Clock()
    shards = ("ACEGI", "BDFHJ")
    mixed = [it for it in chain(*zip_longest(*shards)) if it]
    tickers = mixed if is_mixed else [*chain(*shards)]

    assert {*"".join(seconds_of(TickSampler(3, clock), clock, tickers, 4))} == {*tickers}


@pytest.mark.parametrize("ahead_seconds", [120, 86_400])
def test_after_ticks_of_a_clock_that_was_ahead_tickers_have_their_turns_again(
    ahead_seconds: int,
) -> None:
    clock = Clock()
    sampler = TickSampler(2, clock)
    clock.now_ms = 1000.0
    assert all(sampler.takes(it, (ahead_seconds + 1) * 1000) for it in "AB")

    assert seconds_of(sampler, clock, [*"ABC"], 4) == ["", "AB", "C", "AB"]


def test_a_round_that_new_names_would_never_let_end_is_bounded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("tasks.tick_sampler._MOST_SHOWN", 10)
    clock = Clock()
    sampler = TickSampler(2, clock)
    shown = ""
    for second in range(20):
        names = [f"N{second}-{number}" for number in range(5)]
        clock.now_ms = second * 1000.0
        shown += "".join(it for it in ["A", *names] if sampler.takes(it, (second + 1) * 1000))

    assert shown.count("A") >= 2
