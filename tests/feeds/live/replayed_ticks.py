"""Ticks over what a feed wrote, one for each second, and what they published."""

import json
from collections.abc import Iterator
from typing import Any, NamedTuple, cast

import redis

from app.analysis.bars import SECOND_MS, whole_second
from app.analysis.record_parser import parse_batch
from app.analysis.records import Record, Span
from app.analysis.windows import WINDOWS
from app.core.settings import Settings
from app.storage.keys import Keys
from app.storage.tick_store import TickStore
from tests.engine_answers import EVENT_FIELDS

KEYS = Keys()
Members = list[tuple[bytes, float]]
Fields = dict[str, Any]


class FeedWritten(NamedTuple):
    """What a feed wrote of a ticker: members of its keys, with their scores."""

    ticker: str
    quotes: Members
    trades: Members
    gaps: Members

    @classmethod
    def read(cls, client: redis.Redis, ticker: str) -> "FeedWritten":
        """Read a ticker's keys."""
        return cls(ticker, *(_members(client, key) for key in _keys(ticker)))

    @property
    def records(self) -> list[Record]:
        """Return the records as the analysis reads them."""
        batch = parse_batch(self.quotes, self.trades)
        assert not batch.faults
        return batch.records

    @property
    def spans(self) -> list[Span]:
        """Return the declared gaps."""
        gaps = (json.loads(member) for member, _ in self.gaps)
        return [(gap["from"], gap["to"]) for gap in gaps]


def _keys(ticker: str) -> tuple[str, str, str]:
    return KEYS.quotes(ticker), KEYS.trades(ticker), KEYS.gaps(ticker)


def _members(client: redis.Redis, key: str) -> Members:
    return cast("Members", client.zrange(key, 0, -1, withscores=True))


def replay_ticks(
    client: redis.Redis, settings: Settings, written: FeedWritten
) -> Iterator[tuple[int, dict[str, Fields]]]:
    """Write it again, each second's part before that second's tick; yield each tick's windows."""
    client.delete(*_keys(written.ticker))
    store = TickStore(settings)
    stamps = [record.stamp for record in written.records]
    last = whole_second(stamps[-1])
    before = 0.0
    for as_of in range(whole_second(stamps[0]), last + SECOND_MS, SECOND_MS):
        for key, members in zip(_keys(written.ticker), written[1:], strict=True):
            due = {member: score for member, score in members if before < score <= as_of}
            if due:
                client.zadd(key, due)
        assert store.run_tick(written.ticker, as_of).outcome == "written"
        yield as_of, {window: _window(client, written.ticker, window) for window in WINDOWS}
        before = as_of


def _window(client: redis.Redis, ticker: str, window: str) -> Fields:
    fields = cast("dict[bytes, bytes]", client.hgetall(KEYS.metrics(ticker, window)))
    return {name.decode(): _value(text.decode()) for name, text in fields.items()}


def _value(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text


def published_events(client: redis.Redis, ticker: str) -> dict[str, Fields]:
    """Return the events that the ticks published, by id."""
    events = [json.loads(one) for one, _ in _members(client, f"orderflow:patterns:{ticker}")]
    return {event["id"]: {name: event.get(name) for name in EVENT_FIELDS} for event in events}
