"""Records of a simulated market: trades and best quotes, numbered in one sequence."""

from app.analysis.records import BUY, SELL, Quote, Record, Trade
from app.feeds.simulation.book import ASK, BID, Book
from app.feeds.simulation.profiles import Profile

_AGGRESSOR = {BID: SELL, ASK: BUY}


class Recorder:
    """Collects records from a book, once `is_recording` is set."""

    def __init__(self, profile: Profile, start_ms: float) -> None:
        self._tick_units = profile.tick_units
        self._lots_per_unit = profile.lots_per_unit
        self._start_ms = start_ms
        self._records: list[Record] = []
        self._last: tuple[int, int, int, int] | None = None
        self._seq = 0
        self.book = Book(self)
        self.now_ms = 0.0
        self.is_recording = False

    def take_records(self) -> list[Record]:
        """Return the records since the last call."""
        records, self._records = self._records, []
        return records

    def on_execution(self, resting_side: str, price: int, lots: int) -> None:
        """Record a trade."""
        if self.is_recording:
            side = _AGGRESSOR[resting_side]
            stamp, seq = self._stamp(), self._next_seq()
            self._records.append(
                Trade(stamp, seq, price * self._tick_units, self._size(lots), side)
            )

    def on_book_change(self) -> None:
        """Record the best quote where it has changed."""
        bids, asks = self.book.sides[BID], self.book.sides[ASK]
        best = (bids.best or 0, bids.best_lots, asks.best or 0, asks.best_lots)
        if best == self._last or not self.is_recording:
            return
        self._last = best
        bid, bid_lots, ask, ask_lots = best
        units = self._tick_units
        quote = Quote(
            self._stamp(),
            self._next_seq(),
            bid * units,
            self._size(bid_lots),
            ask * units,
            self._size(ask_lots),
        )
        self._records.append(quote)

    def _stamp(self) -> float:
        """Return the stamp, rounded to the microsecond as in feeds."""
        return round(self._start_ms + self.now_ms, 3)

    def _next_seq(self) -> int:
        self._seq += 1
        return self._seq

    def _size(self, lots: int) -> float:
        return lots / self._lots_per_unit
