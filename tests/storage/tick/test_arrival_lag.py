"""How late records come, and the settle time that follows from it."""

import random
from bisect import bisect_left, bisect_right, insort
from collections.abc import Callable, Iterable

import pytest

from app.storage.tick.arrival_lag import COUNTED_SECONDS, ArrivalLag

SECOND_MS = 1000
START_MS = 1_700_000_040_000  # a whole minute
Arrivals = list[tuple[float, float]]
"""Each record's stamp and the time at which it came, in seconds after the start."""


def seeded(seed: int) -> random.Random:
    return random.Random(seed)  # noqa: S311 - a test's


def feed(
    lag: Callable[[float], float], seconds: int, *, rate: float = 5.0, start: float = 0.0
) -> Arrivals:
    """Stamp records evenly; each comes `lag` seconds after its stamp."""
    stamps = [start + number / rate for number in range(int((seconds - start) * rate))]
    return [(stamp, stamp + lag(stamp)) for stamp in stamps]


class FakeTicks:
    """Runs ticks over a feed, and tells the tracker what a tick would have read."""

    def __init__(self, arrivals: Iterable[tuple[float, float]], interval_seconds: int = 1) -> None:
        self.coming = sorted(arrivals, key=lambda record: -record[1])
        self.there: list[float] = []
        self.interval = interval_seconds
        self.lag = ArrivalLag(interval_seconds * SECOND_MS)
        self.folded_to = float("-inf")
        self.folded = 0
        self.settled: dict[int, int] = {}
        """The settle time after each tick."""
        self.as_of: dict[int, float] = {}

    def run(
        self, first: int, last: int, *, without: Iterable[int] = (), ahead: int = 0
    ) -> "FakeTicks":
        """Run the ticks of an interval each, but for some, by a clock that may be ahead."""
        for second in range(first, last + 1, self.interval):
            if second not in without:
                self._tick(second + ahead, second)
        return self

    def _tick(self, second: int, true_second: int) -> None:
        lag, now = self.lag, START_MS + second * SECOND_MS
        lag.follow_clock(now, true_second * SECOND_MS)
        while self.coming and self.coming[-1][1] <= true_second + 0.2:
            insort(self.there, self.coming.pop()[0])
        target = (lag.as_of(now) - START_MS) / SECOND_MS
        late = self._count(self.folded_to) - self.folded
        if late > 0 or lag.is_watching(now):
            newest = (lag.newest_counted(now) - START_MS) / SECOND_MS
            upto = [self._count(newest - back) for back in range(COUNTED_SECONDS + 1)]
            in_second = [upto[back] - upto[back + 1] for back in range(COUNTED_SECONDS)]
            newest_ms = START_MS + self.there[self._count(second) - 1] * SECOND_MS
            lag.observe(now, [self._count(second) - upto[0], *in_second], late, newest_ms)
            target = min(target, (lag.as_of(now) - START_MS) / SECOND_MS)
        if target > self.folded_to:
            self.folded_to = target
            self.folded = self._count(target)
        self.settled[second] = lag.settle_seconds
        self.as_of[second] = self.folded_to

    def _count(self, upto: float) -> int:
        return bisect_right(self.there, upto)


@pytest.mark.parametrize("lag", [0.0, 0.05, 0.15])
def test_a_feed_in_time_has_no_settle_time_and_is_not_watched(lag: float) -> None:
    ticks = FakeTicks(feed(lambda _: lag, 100)).run(1, 99)

    assert set(ticks.settled.values()) == {0}
    assert not ticks.lag.is_watching(START_MS + 100 * SECOND_MS)


@pytest.mark.parametrize(
    ("lag", "expected"), [(1.0, 1), (3.0, 3), (10.0, 10), (10.5, 11), (29.9, 30)]
)
def test_a_feed_that_is_always_behind_has_its_lag_as_settle_time(lag: float, expected: int) -> None:
    ticks = FakeTicks(feed(lambda _: lag, 200)).run(1, 160)

    assert all(settle == expected for second, settle in ticks.settled.items() if second > 80)


def test_a_lag_is_noticed_by_the_third_tick_with_late_records() -> None:
    begins = 50
    arrivals = feed(lambda stamp: 10.0 if stamp > begins else 0.0, 150)
    ticks = FakeTicks(arrivals).run(1, 120)

    assert ticks.settled[begins + 11] == 0
    assert ticks.settled[begins + 13] == 10


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_jitter_of_six_seconds_asks_for_six_seconds(seed: int) -> None:
    draw = seeded(seed)
    ticks = FakeTicks(feed(lambda _: draw.uniform(0, 6), 200)).run(1, 180)

    assert {settle for second, settle in ticks.settled.items() if second > 100} <= {5, 6}


def test_one_late_record_in_a_thousand_asks_for_nothing() -> None:
    draw = seeded(4)
    arrivals = feed(lambda _: 8.0 if draw.random() < 0.003 else 0.05, 300)
    ticks = FakeTicks(arrivals).run(1, 280)

    assert set(ticks.settled.values()) == {0}


def test_one_burst_of_old_records_asks_for_nothing() -> None:
    outage = (60, 80)
    arrivals = [
        (stamp, float(outage[1]) if outage[0] < stamp < outage[1] else came)
        for stamp, came in feed(lambda _: 0.05, 200)
    ]
    ticks = FakeTicks(arrivals).run(1, 180)

    assert set(ticks.settled.values()) == {0}


def test_a_backlog_that_is_caught_up_slowly_is_forgotten_within_a_minute() -> None:
    arrivals = [
        (stamp, 80 + (stamp - 60) / 4 if 60 < stamp < 86 else came)
        for stamp, came in feed(lambda _: 0.05, 250)
    ]
    ticks = FakeTicks(arrivals).run(1, 230)

    assert max(ticks.settled.values()) > 0
    assert all(settle == 0 for second, settle in ticks.settled.items() if second > 87 + 61)


def test_a_lag_that_ends_is_forgotten_within_a_minute() -> None:
    ends = 100
    arrivals = feed(lambda stamp: 10.0 if stamp < ends else 0.0, 300)
    ticks = FakeTicks(arrivals).run(1, 250)

    assert ticks.settled[ends] == 10
    assert all(settle == 0 for second, settle in ticks.settled.items() if second > ends + 10 + 61)


def test_records_that_no_settle_time_serves_ask_for_none() -> None:
    draw = seeded(5)
    arrivals = feed(lambda _: 45.0 if draw.random() < 0.1 else 0.05, 300)
    ticks = FakeTicks(arrivals).run(1, 280)

    assert set(ticks.settled.values()) == {0}


def test_a_quote_each_half_minute_is_enough_to_notice_a_lag() -> None:
    ticks = FakeTicks(feed(lambda _: 10.0, 600, rate=1 / 30)).run(1, 590)

    assert all(settle == 10 for second, settle in ticks.settled.items() if second > 140)


@pytest.mark.parametrize("interval", [2, 5, 15, 30])
def test_the_settle_time_is_a_whole_number_of_intervals(interval: int) -> None:
    ticks = FakeTicks(feed(lambda _: 10.0, 400), interval).run(interval, 390)

    expected = -(-10 // interval) * interval
    settled = {settle for second, settle in ticks.settled.items() if second > 200}
    assert settled == {expected}
    assert all(as_of % interval == 0 for as_of in ticks.as_of.values())


@pytest.mark.parametrize("delay", [32, 40, 61, 900, 6 * 3600])
def test_a_stored_delay_is_kept_and_its_jitter_followed(delay: int) -> None:
    draw = seeded(delay)
    arrivals = [(s, c) for s, c in feed(lambda _: delay + draw.uniform(0, 4), 400, start=-delay)]
    arrivals = [(stamp, came) for stamp, came in arrivals if came > 0]
    ticks = FakeTicks(arrivals)
    ticks.lag.adopt(delay + 1, START_MS)
    ticks.run(2, 200)

    settled = {settle for second, settle in ticks.settled.items() if second > 100}
    assert settled <= {delay + 3, delay + 4}


def test_a_delayed_feed_that_comes_in_time_again_is_served_so_a_minute_later() -> None:
    arrivals = [(s, c) for s, c in feed(lambda s: 900.0 if s < -800 else 0.05, 400, start=-900)]
    arrivals = [(stamp, came) for stamp, came in arrivals if came > 0 and not -800 <= stamp < 110]
    ticks = FakeTicks(arrivals)
    ticks.lag.adopt(901, START_MS)
    ticks.run(2, 300)

    assert ticks.settled[100] in {900, 901}
    assert all(settle == 0 for second, settle in ticks.settled.items() if second > 110 + 75)


def test_missed_ticks_make_no_record_look_late() -> None:
    arrivals = feed(lambda stamp: 3.0 if stamp < 50 else 0.05, 300)
    ticks = FakeTicks(arrivals).run(1, 250, without=range(60, 90))

    assert max(ticks.settled.values()) == 3


@pytest.mark.parametrize("lag", [0, 3, 10])
@pytest.mark.parametrize("ahead", [4, 5, 20])
def test_a_clock_that_is_ahead_for_some_seconds_is_no_lag(lag: int, ahead: int) -> None:
    ticks = FakeTicks(feed(lambda _: lag + 0.05, 400)).run(1, 100)
    ticks.run(101, 104, ahead=ahead)
    # The fan-outs of the time ahead were let through already: the next one is let through then.
    ticks.run(105 + ahead, 200)

    assert {ticks.settled[second] for second in range(105 + ahead, 201)} <= {lag}


@pytest.mark.parametrize("lag", [0, 3, 10])
@pytest.mark.parametrize("ahead", [3, 5, 20])
def test_a_clock_that_was_ahead_leaves_the_lag_of_the_feed(lag: int, ahead: int) -> None:
    ticks = FakeTicks(feed(lambda _: lag + 0.05, 400)).run(1, 100)
    ticks.run(101, 120, ahead=ahead)
    assert ticks.lag.settle_seconds == lag + ahead

    ticks.run(121, 200)

    assert {ticks.settled[second] for second in range(121, 201)} <= {lag, max(0, lag - 1)}


@pytest.mark.parametrize("seed", range(20))
def test_an_as_of_never_goes_back_and_99_percent_are_there(seed: int) -> None:
    draw = seeded(seed)
    spread = draw.choice([0.0, 1.0, 5.0, 12.0])
    lag = draw.choice([0.0, 2.0, 10.0, 17.0])
    arrivals = feed(lambda _: lag + draw.uniform(0, spread), 320)
    ticks = FakeTicks(arrivals).run(1, 300)

    as_ofs = list(ticks.as_of.values())
    assert as_ofs == sorted(as_ofs)
    folded = [(s, c) for s, c in arrivals if 150 < s <= ticks.as_of[300]]
    seconds, folds = list(ticks.as_of), list(ticks.as_of.values())
    in_time = sum(came <= seconds[bisect_left(folds, stamp)] + 0.2 for stamp, came in folded)
    assert in_time >= 0.985 * len(folded)


@pytest.mark.parametrize("lag", [32, 45, 75])
def test_a_feed_that_falls_silent_and_comes_back_delayed_is_served(lag: int) -> None:
    """It comes back with stamps after those that it had sent before."""
    arrivals = feed(lambda _: 0.05, 60) + feed(lambda _: lag, 500, start=61)
    ticks = FakeTicks(arrivals).run(1, 480)

    assert {settle for second, settle in ticks.settled.items() if second > 61 + 4 * lag} == {lag}


@pytest.mark.parametrize("jitter", [0, 5, 20])
def test_the_jitter_of_a_delayed_feed_may_grow(jitter: int) -> None:
    draw = seeded(jitter)
    arrivals = feed(lambda s: 900 + (draw.uniform(0, jitter) if s > -800 else 0), 600, start=-900)
    ticks = FakeTicks([record for record in arrivals if record[1] > 0])
    ticks.lag.adopt(901, START_MS)
    ticks.run(2, 400)

    settled = {settle for second, settle in ticks.settled.items() if second > 250}
    assert settled <= {900 + jitter - 1, 900 + jitter}
