"""Measure how far tickers' feeds are behind; their ticks fold only up to so much earlier."""

import time
from typing import Any

from app.analysis.bars import SECOND_MS
from app.core.clock import BELIEVED_AHEAD_INTERVALS
from app.core.settings import Settings
from app.storage.feed_lags import FeedLags
from app.storage.scripts import COUNT_RECORDS
from app.storage.server_clock import ServerClock
from app.storage.tick.arrival_lag import COUNTED_SECONDS, ArrivalLag
from app.storage.tick.read import TickRead
from app.storage.tick.write import is_housekeeping_turn
from app.storage.tick_job import TickJob, WarmTicker

# After a longer pause a ticker's feed may be another one: its settle time is read again.
LAG_KEPT_MS = 10_000


class SettleTimes:
    """How far each ticker's feed is behind, as this worker or another one measured it."""

    def __init__(self, client: Any, server_clock: ServerClock, settings: Settings) -> None:  # noqa: ANN401 - any client
        self._lags = FeedLags(client)
        self._server_clock = server_clock
        self._interval_seconds = settings.interval_seconds
        self._interval_ms = settings.interval_ms
        self._believed_ahead_ms = BELIEVED_AHEAD_INTERVALS * settings.interval_ms

    def lag_of(self, tick: TickJob, known: WarmTicker | None) -> ArrivalLag:
        """Return how far a ticker's feed is behind, as this worker or another one measured it."""
        lag = None if known is None else known.lag
        if lag is None:
            lag = ArrivalLag(self._interval_ms)
        if tick.clock_as_of - lag.ticked_at > LAG_KEPT_MS + self._interval_ms:
            stored_seconds = self._lags.seconds_of(tick.ticker, tick.clock_as_of)
            lag.adopt(stored_seconds, tick.clock_as_of)
        if self._is_behind(tick, lag.ticked_at):
            lag.distrust(lag.ticked_at)
        else:
            lag.follow_clock(tick.clock_as_of, int(time.monotonic() * SECOND_MS))
        return lag

    def follow(self, tick: TickJob, reading: TickRead, warm: WarmTicker, lag: ArrivalLag) -> None:
        """Measure how late the records arrive, where some do, and store a changed settle time."""
        if warm.lag is not lag:
            warm.lag = lag
            if warm.version:  # of another worker, which may have changed the settle time
                now = tick.clock_as_of
                lag.adopt(self._lags.seconds_of(tick.ticker, now), now)
        if reading.late_records <= 0 and not lag.is_watching(tick.clock_as_of):
            return
        if tick.clock_as_of - self._believed_ahead_ms > self._server_clock.now_ms():
            lag.distrust(tick.clock_as_of)
            return
        newest_counted = lag.newest_counted(tick.clock_as_of)
        words = (*tick.names[1:3], tick.clock_as_of, newest_counted, COUNTED_SECONDS)
        [found] = tick.connection.read([("EVAL", COUNT_RECORDS, 2, *words)])
        *counts, newest = found
        lag.observe(tick.clock_as_of, counts, reading.late_records, float(newest or 0))
        settle = lag.settle_seconds
        # Once in a while, what is stored is renewed, with its lifetime.
        is_due = settle and is_housekeeping_turn(
            tick.ticker, tick.clock_as_of, self._interval_seconds
        )
        if settle != lag.stored_seconds or is_due:
            is_stored = self._lags.store(tick.ticker, settle)
            lag.stored_seconds = settle if is_stored else lag.stored_seconds
        tick.as_of = min(tick.as_of, lag.as_of(tick.clock_as_of))

    def _is_behind(self, tick: TickJob, ticked_at: int) -> bool:
        """Return whether a tick's clock went back to a time that is over for Redis's clock."""
        if ticked_at - tick.clock_as_of <= self._believed_ahead_ms:
            return False
        over_ms = self._believed_ahead_ms + self._interval_ms
        return self._server_clock.now_ms() - tick.clock_as_of > over_ms
