"""Days of simulated tickers, faster than they pass: ticks write to a real Redis, as of their time.

After each day's hours Redis is emptied. What an engine without Redis finds in the same records is
what the history has to hold.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import redis

from app.analysis.bars import whole_second
from app.analysis.engine import Engine
from app.analysis.records import Batch, Record
from app.core.settings import Settings
from app.feeds.simulation import profile_of, simulate
from app.storage import keys
from app.storage.session_calendars import hours_of
from app.storage.tick import codec
from app.storage.tick_store import TickStore
from tests.broker import publish

TICK_MS = 10_000
AFTER_MS = 900_000
"""For so long ticks and the writer go on after the last record: in 5 min the tickers sleep."""


@dataclass(frozen=True)
class Day:
    """The records of each ticker between two emptyings of Redis, in stream order."""

    start_ms: int
    seconds: int
    records: dict[str, list[Record]]

    @property
    def ticks(self) -> range:
        """Return the `as_of` of the ticks."""
        end = self.start_ms + 1000 * self.seconds + AFTER_MS
        return range(self.start_ms + TICK_MS, end + TICK_MS, TICK_MS)


def simulated_day(groups: dict[str, Sequence[str]], seed: int, start_ms: int, seconds: int) -> Day:
    """Simulate a market for each profile, whose records all tickers of its group have."""
    found: dict[str, list[Record]] = {}
    for profile, tickers in groups.items():
        market = simulate(profile, seed, start_ms, seconds, profile_of(profile))
        records = [record for some, _ in market for record in some]
        found |= dict.fromkeys(tickers, records)
    return Day(start_ms, seconds, found)


@dataclass
class Found:
    """What an engine found: bars by their ends, and events by id, as they are stored."""

    bars: dict[int, bytes] = field(default_factory=dict)
    events: dict[str, str] = field(default_factory=dict)


def undisturbed(day: Day, ticker: str) -> Found:
    """Fold a day's records of a ticker by one engine, without Redis."""
    found, engine = Found(), Engine.new(ticker, hours_of(ticker, ()))
    records = day.records[ticker]
    stored = Counter(whole_second(record.stamp) for record in records)
    done = 0
    for as_of in day.ticks:
        upto = _place_after(records, done, as_of)
        engine.fold(Batch(records[done:upto], []), as_of, stored)
        result = engine.result()
        found.bars |= {bar.end: codec.encode_bar(bar) for bar in result.final_bars}
        found.events |= {event.id: codec.event_json(event) for event in result.changed_events}
        done = upto
    return found


def run_day(
    client: redis.Redis, settings: Settings, day: Day, after_tick: Callable[[int], None]
) -> None:
    """Publish and tick a day with an empty Redis, and call `after_tick` with each tick's time."""
    client.flushall()
    store = TickStore(settings)
    places = dict.fromkeys(day.records, 0)
    for as_of in day.ticks:
        for ticker, records in day.records.items():
            upto = _place_after(records, places[ticker], as_of)
            if upto > places[ticker]:
                publish(client, ticker, records[places[ticker] : upto])
                client.zadd(keys.TICKERS, {ticker: records[upto - 1].stamp})
            places[ticker] = upto
            store.run_tick(ticker, as_of)
        after_tick(as_of)


def _place_after(records: Sequence[Record], place: int, as_of: int) -> int:
    while place < len(records) and records[place].stamp <= as_of:
        place += 1
    return place


def differences(expected: Found, kept: Found) -> Iterator[str]:
    """Yield a line for each second and event that is missing, is too much, or differs."""
    for name in ("bars", "events"):
        wanted: dict[Any, Any] = getattr(expected, name)
        found: dict[Any, Any] = getattr(kept, name)
        yield from (f"{name} {one} is missing" for one in sorted(wanted.keys() - found.keys()))
        yield from (f"{name} {one} is too much" for one in sorted(found.keys() - wanted.keys()))
        yield from (
            f"{name} {one} differs: {found[one]!r} instead of {wanted[one]!r}"
            for one in sorted(wanted.keys() & found.keys())
            if wanted[one] != found[one]
        )
