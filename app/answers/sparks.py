"""The last minutes of each ticker's mid in few points, for small pictures beside the board.

The newest point comes from each board; what was before is read from the stored seconds, a few
tickers at a time, when somebody begins to look. Nothing is read while nobody looks.
"""

import threading
from collections.abc import Sequence
from typing import Any, Final

import redis

from app.analysis.bars import SECOND_MS, Bar
from app.analysis.price_units import FLOAT_UNITS_PER_ONE, published_price
from app.answers.board import NOT_NOW, Board, BoardRow
from app.core.errors import StateUnreadable
from app.core.settings import Settings
from app.storage.keys import Keys
from app.storage.store_errors import store_errors
from app.storage.tick.codec import decode_bar

STEP_SECONDS: Final = 5
STEP_MS: Final = STEP_SECONDS * SECOND_MS
POINTS: Final = 60
FILLED_AT_ONCE: Final = 20
"""So many tickers are read back with one board: all at once would hold the board up."""
_MOST_MISSED: Final = 2
"""Steps that may pass without a board before the points are read back again."""

Mids = list[float | None]


class SparkKeeper:
    """Keeps the mids of the tickers of the newest board, one a step, oldest first."""

    def __init__(self, client: redis.Redis, settings: Settings) -> None:
        self._redis = client
        self._keys = Keys(cluster=settings.cluster)
        self._mids: dict[str, Mids] = {}
        self._end = 0
        self._lock = threading.Lock()

    @property
    def end(self) -> int:
        """Return the time of the newest points in epoch ms, 0 before the first."""
        return self._end

    def mids(self, ticker: str) -> Mids:
        """Return a ticker's points, None where its mid is not known; none until it was read."""
        return self._mids.get(ticker, [])

    def all(self) -> dict[str, Mids]:
        """Return the points of all tickers that were read."""
        return dict(self._mids)

    def take(self, board: Board) -> None:
        """Add a board's mids, and read the earlier ones of some of its tickers.

        Raises `StoreUnavailable` without Redis.
        """
        if board.as_of is None:
            return
        with self._lock:
            self._move_to(board.as_of - board.as_of % STEP_MS, board.tickers)
            missing = [row for row in board.tickers if row.ticker not in self._mids]
            self._read_back(missing[:FILLED_AT_ONCE])

    def _move_to(self, end: int, rows: Sequence[BoardRow]) -> None:
        """Go on to a new end; points of tickers that left the board are forgotten."""
        steps = (end - self._end) // STEP_MS
        if steps < 0 or steps > _MOST_MISSED:
            self._mids = {}
        elif steps:
            missed: Mids = [None] * (steps - 1)
            self._mids = {
                row.ticker: [*self._mids[row.ticker], *missed, _mid(row)][-POINTS:]
                for row in rows
                if row.ticker in self._mids
            }
        self._end = end

    def _read_back(self, rows: Sequence[BoardRow]) -> None:
        start = self._end - POINTS * STEP_MS
        # `Any`: redis-py's annotations add an awaitable to every reply.
        pipe: Any = self._redis.pipeline(transaction=False)
        for row in rows:
            key = self._keys.bars(row.ticker)
            pipe.xrange(key, start + 1, self._end)
            # The newest second before these tells what stood at their beginning.
            pipe.xrevrange(key, start, "-", count=1)
        with store_errors(self._redis):
            replies = pipe.execute(raise_on_error=False)
        for row, later, before in zip(rows, replies[::2], replies[1::2], strict=True):
            entries = [*_entries(before), *_entries(later)]
            mids = _mids_at_steps(entries, start)
            self._mids[row.ticker] = [*mids[:-1], _mid(row)]


def _entries(reply: object) -> list[tuple[int, bytes]]:
    """Return the end and the packed bar of each stored second; none of a key of a wrong type."""
    if not isinstance(reply, list):
        return []
    return [(int(name.partition(b"-")[0]), fields.get(b"b", b"")) for name, fields in reply]


def _mids_at_steps(entries: Sequence[tuple[int, bytes]], start: int) -> Mids:
    """Return the mid at each step after `start`: that of the newest second up to it."""
    mids: Mids = []
    place = -1
    for step in range(1, POINTS + 1):
        while place + 1 < len(entries) and entries[place + 1][0] <= start + step * STEP_MS:
            place += 1
        mids.append(_mid_of_bar(entries[place][1]) if place >= 0 else None)
    return mids


def _mid_of_bar(packed: bytes) -> float | None:
    try:
        bar: Bar = decode_bar(packed)
    except StateUnreadable:
        return None
    if not bar.mid2:
        return None
    return published_price(bar.mid2, 2.0 * FLOAT_UNITS_PER_ONE[bar.digits])


def _mid(row: BoardRow) -> float | None:
    """Return a row's mid, None where its ticks stopped: where it stands now is not known."""
    is_of_now = NOT_NOW.isdisjoint(row.flags)
    return row.mid if is_of_now and isinstance(row.mid, (int, float)) else None
