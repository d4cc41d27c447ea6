"""Databento, schemas `mbp-1` and `tbbo`: quotes and prints of a dataset in one sequence."""

import os
from collections import Counter
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import aclosing
from itertools import count
from typing import ClassVar

from databento_dbn import UNDEF_PRICE, UNDEF_TIMESTAMP, MBP1Msg

from app.feeds.live.databento_gateway import Gateway
from app.feeds.live.stamps import stamp_ms_of_ns
from app.feeds.live.venue import Batch, Scope, Stamps, Update, Venue
from app.feeds.publish import QuoteMember, TradeMember

UNITS_PER_ONE = 1e9
LAST_OF_EVENT, MAYBE_BAD_BOOK = 128, 4
CONSOLIDATED = ("EQUS.", "DBEQ.")
_AGGRESSORS = {"B": "buy", "A": "sell"}

_Touch = tuple[int, int, int, int]


class Databento(Venue):
    """A dataset with one publisher; stamps are the venue's, kept to the µs.

    `XNAS.ITCH/tbbo` is its prints only, each with the quote that stood before it.
    """

    stamps: ClassVar[Stamps] = "venue"
    quiet_seconds, lifetime_seconds = 12.0, None  # a heartbeat comes each five seconds

    def __init__(
        self, tickers: Sequence[str], url: str | None = None, dataset: str = "XNAS.ITCH"
    ) -> None:
        dataset, _, schema = dataset.partition("/")
        self.source = ".".join(filter(None, ("databento", dataset.lower(), schema)))
        self.scope: Scope = "consolidated" if dataset.startswith(CONSOLIDATED) else "venue"
        self.tickers = {self.symbol_of(ticker): ticker for ticker in tickers}
        self.counts: Counter[str] = Counter()
        self._prints_only = schema == "tbbo"
        self._gateway = Gateway(dataset, schema or "mbp-1", url)
        self._touches: dict[str, _Touch] = {}
        self._trade_numbers = count()

    @classmethod
    def symbol_of(cls, ticker: str) -> str:
        """Return the ticker as it is: a raw symbol."""
        return ticker

    async def records(self) -> AsyncGenerator[Batch, None]:
        """Open one session and yield its records."""
        session = self._gateway.records([*self.tickers], os.environ["DATABENTO_API_KEY"])
        async with aclosing(session):
            async for rows in session:
                yield [update for row in rows for update in self._updates(*row)]

    def _updates(self, symbol: str, record: MBP1Msg) -> Iterator[Update]:
        ticker = self.tickers[symbol]
        if record.ts_event == UNDEF_TIMESTAMP:
            self.counts["no_stamp"] += 1
            return
        # Within an event the book is between two states; with `tbbo` it stood before the print.
        if self._prints_only or record.flags & LAST_OF_EVENT:
            yield from self._quote(ticker, record)
        if record.action == "T":  # it shows the book as it was before the trade
            yield from self._trade(ticker, record)

    def _trade(self, ticker: str, record: MBP1Msg) -> Iterator[Update]:
        if record.price == UNDEF_PRICE:
            self.counts["no_price"] += 1
            return
        price, aggressor = record.price / UNITS_PER_ONE, _AGGRESSORS.get(str(record.side))
        trade = TradeMember(stamp_ms_of_ns(record.ts_event), price, record.size, aggressor)
        # Equal trades of one moment are several, and a session sends none of them twice.
        identity = (id(self), next(self._trade_numbers))
        yield Update(ticker, trade, None, identity)

    def _quote(self, ticker: str, record: MBP1Msg) -> Iterator[Update]:
        """Yield the best quote if it changed."""
        if record.flags & MAYBE_BAD_BOOK:
            self.counts["maybe_bad_book"] += 1
            return
        level = record.levels[0]
        touch = (level.bid_px, level.bid_sz, level.ask_px, level.ask_sz)
        if self._touches.get(ticker) == touch:
            return
        self._touches[ticker] = touch
        sides = (*_side(level.bid_px, level.bid_sz), *_side(level.ask_px, level.ask_sz))
        quote = QuoteMember(stamp_ms_of_ns(record.ts_event), *sides)
        yield Update(ticker, quote)


def _side(price: int, size: int) -> tuple[float, float]:
    return (0.0, 0.0) if price == UNDEF_PRICE else (price / UNITS_PER_ONE, size)
