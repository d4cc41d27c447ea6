"""Answers that were given at moments of a tape, and those that are given of them later."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import pytest
import redis

from app.analysis.records import Record
from app.answers.reader import Reader
from app.answers.snapshot import TickerSnapshot
from app.core import clock
from app.core.settings import Settings
from app.storage.tick_store import TickStore
from tests.broker import publish

ANSWERED_MS = 300.0
"""An answer is given so long after its tick's `as_of`."""


@dataclass(frozen=True)
class TapeInRedis:
    """A tape that is written, ticked and asked about second by second."""

    client: redis.Redis
    settings: Settings
    reader: Reader
    patch: pytest.MonkeyPatch

    def play(self, ticker: str, seconds: Sequence[list[Record]], start_ms: int) -> Iterator[int]:
        """Write and fold each second's records; yield its end, with the clock a little later."""
        store = TickStore(self.settings)
        for number, records in enumerate(seconds, start=1):
            as_of = start_ms + number * 1000
            publish(self.client, ticker, records)
            store.run_tick(ticker, as_of)
            self.patch.setattr(clock, "now_ms", lambda at=as_of: at + ANSWERED_MS)
            seen = {"fanout": as_of, "tick": as_of}
            self.client.hset("orderflow:pulse", mapping=seen)
            yield as_of

    def given(
        self, ticker: str, history: int, moments: Iterator[int], is_asked: Callable[[int], bool]
    ) -> dict[int, TickerSnapshot]:
        """Return what was told at the moments asked at."""
        return {at: self.reader.snapshot(ticker, history) for at in moments if is_asked(at)}
