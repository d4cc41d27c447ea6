"""Measure how late a ticker's records arrive, and choose the settle time that they need.

A record's lag is the time from the end of its second to the `as_of` of the first tick by whose read
it had arrived. It is measured by counting the stored records of each second at one tick, and again
at the next. Ticks of a ticker with a settle time fold to an `as_of` so much earlier.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from app.analysis.bars import SECOND_MS

MAX_JITTER_SECONDS: Final = 30
"""The longest settle time; of a delayed feed, what it may be longer than the feed's delay."""
_LESS_DELAY_SECONDS: Final = 2
COUNTED_SECONDS: Final = _LESS_DELAY_SECONDS + MAX_JITTER_SECONDS + 3
"""How many seconds' records are counted: those from a little before a feed's delay on."""
MEMORY_MS: Final = 60_000
_LATE_PERCENT: Final = 1
# One burst of old records, such as after an outage of the broker, is no feed that is behind.
_LATE_TICKS: Final = 3
# Of a ticker with a record each half minute, the last minute alone would tell nothing.
_TICKS_KEPT: Final = 5
_RECENT_TICKS: Final = 5
_STEP_MS: Final = 2_000
_UNTRUSTED_MS: Final = 10_000
"""How long nothing is learned after a clock was set forward, which may be wrong and set back."""


@dataclass(slots=True, init=False)
class _Arrivals:
    """How many records were first seen by one tick, by their lag in seconds."""

    at: int
    by_lag: dict[int, int]

    def __init__(self, at: int, by_lag: dict[int, int]) -> None:
        self.at = at
        self.by_lag = by_lag


@dataclass(slots=True, init=False)
class ArrivalLag:
    """The settle time of one ticker, and the arrivals of the last minute that it follows from.

    All times are of ticks, in ms: the `as_of` by the clock, before a settle time is subtracted.
    `stored_seconds` is the settle time that Redis holds; `least_lag` the lag, in seconds, of the
    newest second whose records are counted.
    """

    interval_ms: int
    settle_seconds: int
    stored_seconds: int
    ticked_at: int
    least_lag: int
    _watch_until: int
    _clock_offset: int
    _untrusted_until: int
    _kept_seconds: int
    _kept_until: int
    _counted_at: int
    _counts: list[int]
    _arrivals: list[_Arrivals]

    def __init__(self, interval_ms: int) -> None:
        self.interval_ms = interval_ms
        self.settle_seconds = self.stored_seconds = self.ticked_at = self.least_lag = 0
        self._watch_until = self._kept_seconds = self._kept_until = self._counted_at = 0
        self._clock_offset = self._untrusted_until = 0
        self._counts = []
        self._arrivals = []

    def adopt(self, stored_seconds: int, now: int) -> None:
        """Take over the stored settle time, which holds for a minute whatever arrives."""
        if now - self.ticked_at > MEMORY_MS:
            self._arrivals, self._counts, self._watch_until = [], [], 0
        self.stored_seconds = stored_seconds
        self.ticked_at = now
        if stored_seconds != self.settle_seconds or (stored_seconds and not self._arrivals):
            self.settle_seconds = stored_seconds
            self._keep(stored_seconds, now)
            is_delayed = stored_seconds > MAX_JITTER_SECONDS
            # The delay without its jitter is not known yet.
            self._count_from(stored_seconds - MAX_JITTER_SECONDS - 1 if is_delayed else 0)

    def follow_clock(self, now: int, uptime_ms: int) -> None:
        """Note the time of a tick, by the clock and by one that is never set.

        By a clock that is ahead, all records come late by as much. So nothing is learned for some
        seconds after it was set forward; when it is set back, what it was ahead is no lag of what
        was learned since.
        """
        offset = now - uptime_ms
        if self._clock_offset and offset - self._clock_offset > self.interval_ms + _STEP_MS:
            self._untrusted_until = now + _UNTRUSTED_MS
        self._clock_offset = offset
        ahead_ms = self.ticked_at + self.interval_ms - now
        has_learned = self.ticked_at >= self._untrusted_until
        self.ticked_at = now
        # A tick that is overtaken by the next one is no step of the clock.
        if ahead_ms <= 2 * self.interval_ms:
            return
        ahead_seconds = ahead_ms // SECOND_MS if has_learned else 0
        self.settle_seconds = max(0, self.settle_seconds - ahead_seconds)
        self._kept_seconds = max(0, self._kept_seconds - ahead_seconds)
        self._kept_until -= ahead_ms
        self._untrusted_until = 0
        self._watch_until -= ahead_ms
        self._counts = []
        for arrivals in self._arrivals:
            arrivals.at -= ahead_ms
            by_lag: dict[int, int] = {}
            for lag, count in arrivals.by_lag.items():
                less = max(0, lag - ahead_seconds)
                by_lag[less] = by_lag.get(less, 0) + count
            arrivals.by_lag = by_lag

    def distrust(self, now: int) -> None:
        """Learn nothing up to a tick's time, by a clock that another one contradicts."""
        self._untrusted_until = max(self._untrusted_until, now + 1)
        self._counts = []

    def as_of(self, now: int) -> int:
        """Return up to where a tick folds: a whole multiple of the interval."""
        if not self.settle_seconds:
            return now
        earlier = now - self.settle_seconds * SECOND_MS
        return earlier - earlier % self.interval_ms

    def is_watching(self, now: int) -> bool:
        """Return whether the records of each second are to be counted at a tick."""
        return self.settle_seconds > 0 or now < self._watch_until

    def newest_counted(self, now: int) -> int:
        """Return the end of the newest second whose records are counted."""
        return now - self.least_lag * SECOND_MS

    def observe(self, now: int, counts: Sequence[int], late_records: int, newest: float) -> None:
        """Learn from the stored records of a tick.

        `counts` are the numbers of records stamped after `newest_counted`, and then of each second
        from that one backwards. `late_records` came behind what was folded; `newest` is the stamp
        of the newest record up to `now`, 0 without one.
        """
        if now < self._untrusted_until:
            self._counts = []
            return
        newest_lag = self._lag(int(newest), now) if newest else 0
        if now >= self._watch_until and not self.settle_seconds:
            self._assume_in_time(now, counts)
        by_lag = self._new_arrivals(now, counts)
        is_out_of_sight = newest_lag >= self.least_lag + COUNTED_SECONDS
        if late_records > 0 and newest and (not self._counts or is_out_of_sight):
            by_lag = {newest_lag: late_records}
        self._counted_at, self._counts = now, list(counts)
        if by_lag:
            self._arrivals.append(_Arrivals(now, by_lag))
        self._forget(now)
        self._choose(now, newest_lag, is_late=late_records > 0)
        if late_records > 0 or self.settle_seconds:
            self._watch_until = now + MEMORY_MS

    def _assume_in_time(self, now: int, counts: Sequence[int]) -> None:
        """Take the records of the minute before the first late ones as in time."""
        self._arrivals = [it for it in self._arrivals if it.at <= now - MEMORY_MS]
        # Those before the counted seconds were about as many as in the first of these.
        earlier = range(MEMORY_MS // SECOND_MS - 1, COUNTED_SECONDS - 1, -1)
        ages = [*earlier, *range(COUNTED_SECONDS - 1, 0, -1)]
        for age in ages:
            place = age if age < COUNTED_SECONDS else 2 * COUNTED_SECONDS - 1 - age
            if counts[place + 1]:
                self._arrivals.append(_Arrivals(now - age * SECOND_MS, {0: counts[place + 1]}))

    def _lag(self, stamp: int, seen_at: int) -> int:
        """Return the lag in seconds of a record that a tick was the first to see."""
        covering_as_of = stamp + -stamp % self.interval_ms
        return max(0, (seen_at - covering_as_of) // SECOND_MS)

    def _new_arrivals(self, now: int, counts: Sequence[int]) -> dict[int, int]:
        """Count the records that came since the last counted tick, by lag."""
        by_lag: dict[int, int] = {}
        gap = now - self._counted_at
        if not self._counts or gap > MEMORY_MS:
            self._counts = []
            return by_lag
        # After missed ticks nothing tells when between the two reads a record came. A short gap is
        # another worker's turn: its ticks must not make records look earlier than they came.
        is_short = gap <= _RECENT_TICKS * self.interval_ms
        seen_at = now if is_short else self._counted_at + self.interval_ms
        end, end_before = self.newest_counted(now), self.newest_counted(self._counted_at)
        in_time = counts[0] - self._counts[0]
        for count in counts[1:]:
            if end > end_before:
                in_time += count
            else:
                index = (end_before - end) // SECOND_MS + 1
                if index < len(self._counts) and count > self._counts[index]:
                    lag = self._lag(end, seen_at)
                    by_lag[lag] = by_lag.get(lag, 0) + count - self._counts[index]
            end -= SECOND_MS
        if in_time > 0:
            by_lag[self.least_lag] = by_lag.get(self.least_lag, 0) + in_time
        return by_lag

    def _forget(self, now: int) -> None:
        surplus = len(self._arrivals) - _TICKS_KEPT
        while surplus > 0 and self._arrivals[0].at <= now - MEMORY_MS:
            del self._arrivals[0]
            surplus -= 1

    def _choose(self, now: int, newest_lag: int, *, is_late: bool) -> None:
        """Choose the settle time by what arrived in the last minute."""
        by_lag: dict[int, int] = {}
        for arrivals in self._arrivals:
            for lag, count in arrivals.by_lag.items():
                by_lag[lag] = by_lag.get(lag, 0) + count
        lags = sorted(by_lag)
        delay = self._delay(lags, by_lag)
        if delay < 0:
            return
        if 0 < self.least_lag >= delay:
            # Records newer than the counted seconds come: the feed is less delayed than before.
            self._arrivals = []
            self._keep(self.settle_seconds, now)
            is_delayed = newest_lag > MAX_JITTER_SECONDS
            self._count_from(newest_lag - _LESS_DELAY_SECONDS if is_delayed else 0)
            return
        base = delay if delay > MAX_JITTER_SECONDS else 0
        # No settle time would serve records with a longer lag.
        most = base + MAX_JITTER_SECONDS
        settle = self._least_settle([lag for lag in lags if lag <= most], by_lag)
        if now < self._kept_until:
            settle = max(settle, self._kept_seconds)
        # Where several workers take turns, records seem to come later than they do.
        if is_late or settle < self.settle_seconds:
            self.settle_seconds = settle
        least_lag = base - _LESS_DELAY_SECONDS if base else 0
        distance = abs(least_lag - self.least_lag)
        if distance > 2 * _LESS_DELAY_SECONDS or (distance and not base):
            self._count_from(least_lag)

    def _delay(self, lags: list[int], by_lag: dict[int, int]) -> int:
        """Return the lag of the feed's newest records, -1 where too few ticks saw any."""
        total, found = sum(by_lag.values()), 0
        for lag in lags:
            found += by_lag[lag]
            if found * 100 > total * _LATE_PERCENT and self._is_regular(0, lag):
                return lag
        return -1

    def _least_settle(self, lags: list[int], by_lag: dict[int, int]) -> int:
        """Return the least settle time by which 99 % of the records with some lags are there."""
        total = later = sum([by_lag[lag] for lag in lags])
        for settle in lags if lags[0] == 0 else [0, *lags]:
            later -= by_lag.get(settle, 0)
            if later * 100 <= total * _LATE_PERCENT or not self._is_regular(settle + 1, lags[-1]):
                return settle
        return lags[-1]

    def _is_regular(self, least: int, most: int) -> bool:
        """Return whether several ticks were the first to see records with a lag in a range."""
        ticks = 0
        for arrivals in self._arrivals:
            for lag in arrivals.by_lag:
                if least <= lag <= most:
                    ticks += 1
                    break
        return ticks >= min(_LATE_TICKS, MEMORY_MS // self.interval_ms)

    def _keep(self, seconds: int, now: int) -> None:
        """Let the settle time not fall below a value for the next minute."""
        self._kept_seconds, self._kept_until = seconds, now + MEMORY_MS

    def _count_from(self, least_lag: int) -> None:
        """Count the records with at least this lag from the next tick on."""
        self.least_lag = least_lag
        self._counts = []
