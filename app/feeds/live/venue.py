"""What a venue's adapter is: one connection's records in order, and what the venue is like.

An adapter turns what comes over the wire into records and does nothing else. Reconnecting,
numbering (`seq`), stamps of arrival, repeated records, gaps and the writing to Redis are the
supervisor's.
"""

from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import ClassVar, Literal, NamedTuple, Protocol

from app.feeds.publish import QuoteMember, TradeMember

Scope = Literal["venue", "consolidated"]
Stamps = Literal["venue", "receive"]


class Update(NamedTuple):
    """A record as the venue sent it; `seq` is not set yet, nor the stamp where arrival counts.

    Prices and sizes are as the venue writes them. An empty side has size 0, and 0 as its price.
    """

    ticker: str
    record: QuoteMember | TradeMember
    order: int | None = None
    """The venue's own number, growing among a ticker's records of this kind, where it has one.

    Without it a record's place is that of its stamp.
    """
    identity: object = None
    """What tells a record from all others of its ticker and kind, where the number does not.

    Without it, and without a number, a record is known again by its stamp and content.
    """


Batch = Sequence[Update]
"""The records of one frame, in order; empty for a heartbeat or a confirmation."""


class Venue(Protocol):
    """A venue, and what was asked of it; `source`'s rules are those of the key `orderflow:feed`."""

    source: str
    """Its name in `orderflow:feed:{ticker}`, such as `kraken`; 1 to 32 of a-z 0-9 . _ -"""
    scope: Scope
    """Which part of the market its records are."""
    stamps: ClassVar[Stamps]
    """Who stamps its records; with `receive` the adapter leaves `timestamp` 0, for both kinds.

    With `venue` a record that has no stamp, 0 likewise, gets the time that it is at the venue.
    """
    quiet_seconds: ClassVar[float]
    """A connection without any frame, heartbeats included, for so long is dead."""
    lifetime_seconds: ClassVar[float | None]
    """After this the venue ends each connection; it is replaced some minutes earlier."""

    def __init__(self, tickers: Sequence[str], url: str | None = None) -> None:
        """Note which tickers to subscribe, and the address if it is not the venue's own."""

    @classmethod
    def symbol_of(cls, ticker: str) -> str:
        """Return how the venue writes a ticker: `BTCUSDT` for `BTC/USDT`."""

    def records(self) -> AsyncGenerator[Batch, None]:
        """Open one connection, subscribe, and yield the records of each frame.

        The first batch comes once all subscriptions are confirmed, with what arrived before that.
        Each frame gives a batch, an empty one if it holds no record: the connection lives.
        `counts` grows by what is left out on purpose.

        Raises `FeedRefused` for what no further attempt will change (bad key, unknown symbol,
        symbol limit, no entitlement), `FeedInterrupted` or `OSError` for everything else. It never
        just ends.
        """

    counts: Mapping[str, int]
    """What was received and left out on purpose, by reason: `correction`, `cancel` ..."""
