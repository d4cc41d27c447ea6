"""Read what Redis holds of a ticker and the history needs.

Only what can't change any more is taken: bars that late records no longer reach, in the stream of
bars, and of these and of events only what lies `SETTLED_MS` behind Redis's clock. Ticks ahead of a
clock are taken back within seconds (decision 17).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import redis

from app.analysis.bars import Bar
from app.analysis.gaps import Gap
from app.core.errors import StateUnreadable
from app.core.tickers import is_ticker
from app.storage import keys
from app.storage.keys import Keys
from app.storage.published import (
    EventRecord,
    Value,
    read_event,
    read_session,
    read_stamp,
)
from app.storage.tick.codec import decode_bar, decode_gaps
from app.storage.tick_connection import WRONG_TYPE

SETTLED_MS: Final = 60_000
_STATE_FIELDS: Final = ("as_of", keys.CORRECTED_AT, keys.GAPS)
_ID_START: Final = b'{"id":"'


@dataclass(slots=True)
class TickerState:
    """What a ticker's keys hold besides its bars; times in epoch ms.

    `members` are the events as stored. `oldest_ms` is the end of the oldest bar, None without any.
    """

    as_of: int | None = None
    corrected_at: int = 0
    gaps: Sequence[Gap] = ()
    oldest_ms: int | None = None
    members: Sequence[bytes] = ()
    session: Mapping[str, Value] = field(default_factory=dict)
    ended: Mapping[str, Value] = field(default_factory=dict)


@dataclass(slots=True)
class StoredBars:
    """Bars in order of time, and the ends of those that could not be decoded."""

    bars: list[Bar]
    unreadable: list[int]


class HistorySource:
    """Reads tickers over one connection pool; its methods raise redis-py's errors."""

    def __init__(self, client: redis.Redis, names: Keys) -> None:
        # `Any`: redis-py's annotations add an awaitable to every reply.
        self._redis: Any = client
        self._keys = names

    def tickers(self, since_ms: float) -> list[str]:
        """Return the tickers of which quotes came since an instant."""
        found = self._redis.zrangebyscore(keys.TICKERS, since_ms, "+inf")
        names = (name.decode("ascii", "replace") for name in found)
        return sorted(name for name in names if is_ticker(name))

    def read_state(self, ticker: str) -> TickerState:
        """Read all but the bars."""
        pipe = self._redis.pipeline(transaction=True)
        pipe.hmget(self._keys.state(ticker), *_STATE_FIELDS)
        pipe.xrange(self._keys.bars(ticker), "-", "+", count=1)
        pipe.zrange(self._keys.patterns(ticker), 0, -1)
        pipe.hgetall(self._keys.session(ticker))
        pipe.hgetall(self._keys.ended(ticker))
        state, oldest, members, session, ended = _replies(pipe)
        as_of, corrected_at, gaps = state or (None,) * 3
        folded_to = read_stamp(as_of)
        return TickerState(
            None if folded_to is None else int(folded_to),
            int(read_stamp(corrected_at) or 0),
            _gaps(gaps),
            _end_of_id(oldest[0][0]) if oldest else None,
            members or [],
            read_session(session or {}),
            read_session(ended or {}),
        )

    def read_bars(self, ticker: str, after_ms: int, until_ms: int) -> StoredBars:
        """Read the bars that end in (after, until]."""
        pipe = self._redis.pipeline(transaction=False)
        pipe.xrange(self._keys.bars(ticker), after_ms + 1, until_ms)
        [entries] = _replies(pipe)
        stored = StoredBars([], [])
        for name, fields in entries or ():
            try:
                stored.bars.append(decode_bar(fields.get(b"b", b"")))
            except StateUnreadable:
                stored.unreadable.append(_end_of_id(name))
        return stored

    def read_events_at(self, ticker: str, opened_at: Sequence[float]) -> list[bytes]:
        """Return the events that were opened at one of these instants."""
        pipe = self._redis.pipeline(transaction=False)
        for at in opened_at:
            pipe.zrangebyscore(self._keys.patterns(ticker), repr(at), repr(at))
        return [member for found in _replies(pipe) for member in found or ()]


def _replies(pipe: Any) -> list[Any]:  # noqa: ANN401 - as in `HistorySource`
    """Return a pipeline's replies: None for a key of a wrong type, which a tick sets aside.

    Raises redis-py's error of any other refusal.
    """
    replies: list[Any] = pipe.execute(raise_on_error=False)
    for reply in replies:
        if isinstance(reply, Exception) and not _is_wrong_type(reply):
            raise reply
    return [None if isinstance(reply, Exception) else reply for reply in replies]


def _is_wrong_type(error: Exception) -> bool:
    # A pipeline puts its command before the error.
    return isinstance(error, redis.ResponseError) and WRONG_TYPE in str(error)


def _end_of_id(name: bytes) -> int:
    return int(name.partition(b"-")[0])


def _gaps(stored: bytes | None) -> list[Gap]:
    try:
        return decode_gaps(stored) if stored else []
    except StateUnreadable:
        return []


def id_of_member(member: bytes) -> str:
    """Return an event's id, which comes first in its member, without decoding the rest.

    >>> id_of_member(b'{"id":"SPY~k3f9x2ab","type":"wall"}')
    'SPY~k3f9x2ab'
    """
    start = len(_ID_START)
    return member[start : member.find(b'"', start)].decode("ascii", "replace")


def new_events(
    members: Sequence[bytes], ticker: str, known: frozenset[str] | set[str]
) -> list[EventRecord]:
    """Decode the events whose ids are not among those known."""
    unknown = [member for member in members if id_of_member(member) not in known]
    found = (read_event(member, ticker) for member in unknown)
    return [event for event in found if event is not None]
