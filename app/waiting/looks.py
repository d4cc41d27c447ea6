"""Read what a wait looks at: the newest tick of tickers, their current events and ranks."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import redis

from app.answers.reader import TIMEOUT_SECONDS
from app.core.settings import Settings
from app.storage import keys
from app.storage.published import (
    EventRecord,
    Number,
    read_events,
    read_number,
    read_ranks,
    read_stamp,
)
from app.storage.redis_client import connect
from app.storage.store_errors import store_errors

ALL_KEPT = float("-inf")
"""As the oldest opening of events: read every event that is kept."""
MAX_EVENTS_READ = 2000
_BATCH = 100
_STATE = ("as_of", keys.OPEN_EVENTS)


class RankFact(NamedTuple):
    """A metric's value at a tick, and its rank in the ticker's own past."""

    rank: float
    value: Number | None


class TickerLook(NamedTuple):
    """A ticker as of its newest tick; `as_of_ms` is None before the first.

    `events` are the open ones and those opened after the asked moment, none noticed after the tick;
    `ranks` are by window and metric, of the windows asked for.
    """

    ticker: str
    as_of_ms: int | None = None
    events: Sequence[EventRecord] = ()
    ranks: Mapping[str, Mapping[str, RankFact]] = {}


class LookReader:
    """Read looks at tickers, with one round trip per hundred."""

    def __init__(self, client: redis.Redis, settings: Settings) -> None:
        # `Any`: redis-py's annotations add an awaitable to every reply.
        self._redis: Any = client
        self._keys = keys.Keys(cluster=settings.cluster)

    @classmethod
    def from_settings(cls, settings: Settings) -> "LookReader":
        """Return a reader with a connection pool of its own, which connects at its first look."""
        return cls(connect(settings, timeout_seconds=TIMEOUT_SECONDS), settings)

    def close(self) -> None:
        """Close the connections."""
        self._redis.close()

    def read(
        self, oldest_ms: Mapping[str, float], windows: Sequence[str] = ()
    ) -> dict[str, TickerLook]:
        """Look at tickers: at their open events, and those opened at or after a moment of each.

        Raises `StoreUnavailable`.
        """
        found: dict[str, TickerLook] = {}
        names = list(oldest_ms)
        with store_errors(self._redis):
            for start in range(0, len(names), _BATCH):
                batch = {name: oldest_ms[name] for name in names[start : start + _BATCH]}
                looks = {look.ticker: look for look in self._read_batch(batch, windows)}
                found |= looks
        return found

    def _read_batch(
        self, oldest_ms: Mapping[str, float], windows: Sequence[str]
    ) -> Iterator[TickerLook]:
        pipe = self._redis.pipeline(transaction=False)
        for name, oldest in oldest_ms.items():
            # The tick first: what is read after it holds at least all that was noticed by then.
            pipe.hmget(self._keys.state(name), *_STATE)
            pipe.zrevrangebyscore(
                self._keys.patterns(name), "+inf", oldest, start=0, num=MAX_EVENTS_READ
            )
            for window in windows:
                pipe.hgetall(self._keys.metrics(name, window))
        replies = iter(pipe.execute(raise_on_error=False))
        for name, oldest in oldest_ms.items():
            state, members = _usable(next(replies), (None, None)), _usable(next(replies), ())
            hashes = [_usable(next(replies), {}) for _ in windows]
            as_of, open_lines = state
            if open_lines is None and oldest != ALL_KEPT:
                # A state that does not list its open events: they are among all that are kept.
                members = self._all_members(name)
            yield _look(
                name,
                as_of,
                [*(open_lines or b"").split(b"\n"), *members],
                dict(zip(windows, hashes, strict=True)),
            )

    def _all_members(self, name: str) -> Sequence[bytes]:
        pipe = self._redis.pipeline(transaction=False)
        pipe.zrevrange(self._keys.patterns(name), 0, MAX_EVENTS_READ - 1)
        [members] = pipe.execute(raise_on_error=False)
        found: Sequence[bytes] = _usable(members, ())
        return found


def _look(
    ticker: str,
    as_of: bytes | None,
    members: Sequence[bytes],
    hashes: Mapping[str, Mapping[bytes, bytes]],
) -> TickerLook:
    as_of_ms = read_stamp(as_of)
    if as_of_ms is None:
        return TickerLook(ticker)
    # By id: of an event that is read twice, the form that was read later counts.
    events = {event.id: event for event in read_events(filter(None, members), ticker)}
    return TickerLook(
        ticker,
        int(as_of_ms),
        [event for event in events.values() if event.noticed_at <= as_of_ms],
        {window: _ranks(fields) for window, fields in hashes.items()},
    )


def _ranks(fields: Mapping[bytes, bytes]) -> dict[str, RankFact]:
    return {
        name: RankFact(share, read_number(fields.get(name.encode())))
        for name, share in read_ranks(fields.get(b"ranks")).items()
    }


def _usable(reply: Any, empty: Any) -> Any:  # noqa: ANN401 - a reply
    """Return a reply, or nothing for a key of a wrong type."""
    if not isinstance(reply, Exception):
        return reply
    if isinstance(reply, redis.ResponseError) and str(reply).startswith("WRONGTYPE"):
        return empty
    raise reply
