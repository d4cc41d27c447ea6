"""Which tick of each ticker was seen last, and so how far back the next look has to read."""

from collections import OrderedDict

from app.analysis.bars import SECOND_MS
from app.answers.event_selection import LONGEST_NOTICE_MS
from app.waiting.looks import ALL_KEPT, TickerLook

# Ticks so near to one another leave no event that was noticed and closed between them unread:
# all but point events, and those that a gap closed at once, close 5 s after their condition.
NEAR_TICKS_MS = 4 * SECOND_MS
MAX_TICKERS = 10_000


class SeenTicks:
    """The newest tick seen of each ticker, and when it was first seen."""

    def __init__(self) -> None:
        self._seen: OrderedDict[str, tuple[int, float]] = OrderedDict()

    def note(self, look: TickerLook, now_ms: float) -> None:
        """Note the tick of a look."""
        as_of_ms = look.as_of_ms
        if as_of_ms is None or self._seen.get(look.ticker, (0, 0.0))[0] == as_of_ms:
            return
        self._seen[look.ticker] = as_of_ms, now_ms
        self._seen.move_to_end(look.ticker)
        if len(self._seen) > MAX_TICKERS:
            self._seen.popitem(last=False)

    def oldest_ms(self, ticker: str, now_ms: float) -> float:
        """Return the opening from which on events have to be read for the next look."""
        as_of_ms, seen_at = self._seen.get(ticker, (0, 0.0))
        if now_ms - seen_at > NEAR_TICKS_MS:
            return ALL_KEPT
        return as_of_ms - LONGEST_NOTICE_MS
