"""What happens on a pretended market: quotes and prints by chance, the same for the same seed."""

import random
from collections import deque
from dataclasses import dataclass
from decimal import Decimal

TICK = Decimal("0.01")
MAX_SPREAD_TICKS = 5
SHARE_OF_PRINTS = 0.3


@dataclass(frozen=True, slots=True)
class BestQuote:
    """The best bid and ask of a symbol; a side of size 0 is empty."""

    symbol: str
    at_ns: int
    bid: Decimal
    bid_size: Decimal
    ask: Decimal
    ask_size: Decimal
    number: int = 0


@dataclass(frozen=True, slots=True)
class Print:
    """A trade; `aggressor` is `buy` or `sell`, whoever did not wait in the book."""

    symbol: str
    at_ns: int
    price: Decimal
    size: Decimal
    aggressor: str
    number: int


Event = BestQuote | Print


class Market:
    """Random walks of some symbols; `standing` holds their best quotes, `prints` their newest."""

    def __init__(self, symbols: tuple[str, ...], seed: int, size_step: Decimal, at_ns: int) -> None:
        self.standing: dict[str, BestQuote] = {}
        self.prints: dict[str, deque[Print]] = {symbol: deque(maxlen=50) for symbol in symbols}
        self._random = random.Random(seed)  # noqa: S311 - nothing secret
        self._size_step = size_step
        self._count = 0
        for number, symbol in enumerate(symbols, 1):
            self.note(self._quote(symbol, Decimal(100 * number), at_ns))

    def next_event(self, symbol: str, at_ns: int) -> Event:
        """Let one thing happen to a symbol: a print at its touch or another best quote."""
        event: Event
        before = self.standing[symbol]
        if self._random.random() < SHARE_OF_PRINTS:
            event = self._print(before, at_ns)
        else:
            step = self._random.choice((-TICK, Decimal(0), TICK))
            event = self._quote(symbol, max(before.bid + step, TICK), at_ns)
        self.note(event)
        return event

    def note(self, event: Event) -> None:
        """Make an event the newest of its symbol."""
        if isinstance(event, BestQuote):
            self.standing[event.symbol] = event
        else:
            self.prints[event.symbol].append(event)

    def _quote(self, symbol: str, bid: Decimal, at_ns: int) -> BestQuote:
        ask = bid + TICK * self._random.randint(1, MAX_SPREAD_TICKS)
        return BestQuote(symbol, at_ns, bid, self._size(), ask, self._size(), self._next_number())

    def _print(self, quote: BestQuote, at_ns: int) -> Print:
        aggressor = self._random.choice(("buy", "sell"))
        price = quote.ask if aggressor == "buy" else quote.bid
        return Print(quote.symbol, at_ns, price, self._size(), aggressor, self._next_number())

    def _size(self) -> Decimal:
        return self._size_step * self._random.randint(1, 999)

    def _next_number(self) -> int:
        self._count += 1
        return self._count
