"""The board: all active tickers by how unusual they are now, for people who watch.

It says of a ticker what answers say, by the same functions: numbers over its last minute, its
rarest current event, its metric farthest from usual.
"""

import dataclasses
import functools
from collections.abc import Mapping
from typing import Final, NamedTuple, Self

import msgspec
import redis

from app.analysis.metric_table import MID, RANKED
from app.answers.event_selection import rarest_current
from app.answers.headline import headline, is_far
from app.answers.overview import WINDOW, Overview, OverviewReader, TickerSummary
from app.answers.reader import TIMEOUT_SECONDS
from app.answers.schema import rounded, short
from app.answers.session_facts import feed_kind
from app.answers.ticker_facts import mid_moved_bps, mid_of
from app.core import clock
from app.core.settings import Settings
from app.storage.published import EventRecord, FeedRecord, Number, Value, read_metrics, read_ranks
from app.storage.redis_client import connect
from app.storage.store_errors import store_errors

_FIELDS: Final = (
    *RANKED,
    *("bid_price", "ask_price", "bid_price_movement", "ask_price_movement"),
    *("buy_volume", "sell_volume", "ranks"),
)
"""What a row is made of, besides what each overview reads."""
_ALWAYS: Final = frozenset(
    name.encode() for name in (*_FIELDS[len(RANKED) :], "spread_bps") if name != "ranks"
)
_NUMBERS_SAID: Final = 1
NOT_NOW: Final = frozenset({"stale", "ahead"})
"""Flags of tickers whose newest numbers are not of now: they come last."""


class BoardEvent(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """A ticker's rarest current event; its full form is in the answer about the ticker."""

    id: str
    type: str
    side: str
    status: str
    noticed_at: int
    return_minutes: Number | None = None
    at_least: bool = False


class BoardRank(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """The metric of the last minute that is farthest from usual, and its rank from 0 to 1."""

    metric: str
    rank: float
    value: Value | None = None


class BoardRow(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """One ticker; numbers are over the minute that ends at `as_of`. None: not known.

    `bid_price`, `ask_price` and `mid` stand at `as_of`; `moved_bps` is how far the mid moved.
    """

    ticker: str
    as_of: int | None = None
    newest_quote_at: int | None = None
    bid_price: Value | None = None
    ask_price: Value | None = None
    mid: Value | None = None
    moved_bps: Number | None = None
    spread_bps: Value | None = None
    quotes_per_second: Value | None = None
    evidence_class: str
    flags: list[str] = []
    why: str
    event: BoardEvent | None = None
    rank: BoardRank | None = None
    feed: str | None = None
    feed_down: bool = False


class Board(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """The active tickers, the most unusual first; `cause` says why their data is not current."""

    now: int
    as_of: int | None = None
    active: int
    not_read: int = 0
    cause: str | None = None
    tickers: list[BoardRow]


class BoardReader:
    """Reads boards; holds no state but its connections."""

    def __init__(self, client: redis.Redis, settings: Settings) -> None:
        self._redis = client
        self._overviews = OverviewReader(client, settings, _FIELDS)

    @classmethod
    def from_settings(cls, settings: Settings) -> Self:
        """Return a reader with a connection pool of its own."""
        return cls(connect(settings, timeout_seconds=TIMEOUT_SECONDS), settings)

    def close(self) -> None:
        """Close the connections."""
        self._redis.close()

    def read(self) -> Board:
        """Return the board as of the newest ticks.

        Raises `NoAnswer` with the cause if no ticker is active; `StoreUnavailable` without Redis.
        """
        with store_errors(self._redis):
            overview = self._overviews.overview(clock.now_ms())
        return make_board(overview)


def make_board(overview: Overview) -> Board:
    """Return an overview as a board."""
    found = [_Seen.of(summary) for summary in overview.tickers]
    found.sort(key=lambda it: it.unusual, reverse=True)
    return Board(
        now=round(overview.now_ms),
        as_of=overview.as_of_ms,
        active=len(overview.tickers) + overview.not_read,
        not_read=overview.not_read,
        cause=overview.cause,
        tickers=[it.row() for it in found],
    )


class _Seen(NamedTuple):
    """A ticker's summary, and what is unusual about it."""

    summary: TickerSummary
    metrics: Mapping[str, Value]
    ranks: Mapping[str, float]
    event: EventRecord | None
    unusual: tuple[object, ...]
    """The sort key; the greatest is the most unusual."""

    @classmethod
    def of(cls, summary: TickerSummary) -> "_Seen":
        ranks = read_ranks(summary.window.get(b"ranks"))
        found = rarest_current(summary.events, summary.as_of_ms or 0)
        unusual = (
            NOT_NOW.isdisjoint(summary.flags),
            *((True, found.rarity) if found else (False, ())),
            max(map(_distance, ranks.values()), default=0.0),
            summary.quotes_per_second or 0.0,
        )
        metrics = _metrics_said(summary.window, ranks)
        return cls(summary, metrics, ranks, found.event if found else None, unusual)

    def row(self) -> BoardRow:
        summary, metrics = self.summary, self.metrics
        mid = _valid_mid(metrics)
        return BoardRow(
            ticker=summary.ticker,
            as_of=summary.as_of_ms,
            newest_quote_at=_whole_ms(summary.newest_quote_ms),
            bid_price=_rounded("bid_price", metrics.get("bid_price")),
            ask_price=_rounded("ask_price", metrics.get("ask_price")),
            mid=_rounded(MID, mid),
            moved_bps=mid_moved_bps(metrics, mid),
            spread_bps=_rounded("spread_bps", metrics.get("spread_bps")),
            quotes_per_second=_rounded("quotes_per_second", summary.quotes_per_second),
            evidence_class=summary.evidence_class,
            flags=list(summary.flags),
            why=self._why(),
            event=None if self.event is None else _board_event(self.event),
            rank=_farthest(self.ranks, metrics),
            feed=_feed_words(summary.feed),
            feed_down="feed_down" in summary.flags,
        )

    def _why(self) -> str:
        return headline(
            self.metrics,
            self.ranks,
            () if self.event is None else (self.event,),
            is_past=False,
            most_numbers=_NUMBERS_SAID,
            window=WINDOW,
        )


def _metrics_said(window: Mapping[bytes, bytes], ranks: Mapping[str, float]) -> dict[str, Value]:
    """Return the metrics that a row says: most of hundreds of tickers' are usual."""
    farthest = max(ranks, key=lambda name: _distance(ranks[name]), default=None)
    said = {name for name, rank in ranks.items() if is_far(rank) or name == farthest}
    return read_metrics(
        {name: text for name, text in window.items() if name in _ALWAYS or name.decode() in said}
    )


@functools.lru_cache(maxsize=256)
def _feed_words_of(kind: FeedRecord) -> str | None:
    return feed_kind(kind, 0.0)


def _feed_words(feed: FeedRecord | None) -> str | None:
    """Return what a feed is, in words: the same of many tickers, at any time."""
    return None if feed is None else _feed_words_of(dataclasses.replace(feed, alive_at=None))


def _distance(rank: float) -> float:
    """Return how far a rank is from that of a usual number."""
    return abs(rank - 0.5)


def _farthest(ranks: Mapping[str, float], metrics: Mapping[str, Value]) -> BoardRank | None:
    name = max(
        (it for it in ranks if it in metrics), key=lambda name: _distance(ranks[name]), default=None
    )
    if name is None:
        return None
    return BoardRank(metric=name, rank=round(ranks[name], 2), value=rounded(name, metrics[name]))


def _board_event(event: EventRecord) -> BoardEvent:
    minutes = event.return_minutes
    return BoardEvent(
        id=event.id,
        type=event.type,
        side=event.side,
        status=event.status,
        noticed_at=round(event.noticed_at),
        return_minutes=None if minutes is None else short(minutes, 3),
        at_least=event.at_least,
    )


def _valid_mid(metrics: Mapping[str, Value]) -> float | None:
    """Return the mid of the standing quote, None where a side is empty or the book is crossed."""
    bid, ask = metrics.get("bid_price"), metrics.get("ask_price")
    is_valid = isinstance(bid, (int, float)) and isinstance(ask, (int, float)) and bid < ask
    return mid_of(metrics) if is_valid else None


def _rounded(name: str, value: Value | None) -> Value | None:
    return None if value is None else rounded(name, value)


def _whole_ms(stamp_ms: float | None) -> int | None:
    return None if stamp_ms is None else round(stamp_ms)
