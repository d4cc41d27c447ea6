"""Choose the ticks that monitoring tools see: a bounded number a second, all tickers in turn."""

from collections.abc import Callable

from app.core import clock
from app.core.settings import settings

_SECOND_MS = 1000


class TickSampler:
    """Choose up to `most` ticks a second.

    Ticks come sorted by ticker, so the tickers after the last chosen one are next, and the first
    one again once a second did not use up its number.
    """

    def __init__(self, most: int, now_ms: Callable[[], float] = clock.now_ms) -> None:
        self._most = most
        self._now_ms = now_ms
        self._second = 0
        self._left = most
        self._newest = ("", 0)

    def takes(self, ticker: str, as_of_ms: int) -> bool:
        """Return whether this tick is chosen; asked again about the newest one, the same.

        >>> seconds = iter([0, 0, 0, 1000, 1000, 1000, 2000])
        >>> sampler = TickSampler(2, lambda: next(seconds))
        >>> [sampler.takes(ticker, 1000) for ticker in "ABC"]
        [True, True, False]
        >>> [sampler.takes(ticker, 2000) for ticker in "ABC"]
        [False, False, True]
        >>> sampler.takes("A", 3000)
        True
        """
        if self._newest == (ticker, as_of_ms):
            return True
        second = int(self._now_ms() // _SECOND_MS)
        if second != self._second:
            if self._left:
                self._newest = ("", 0)
            self._second, self._left = second, self._most
        if not self._left or ticker <= self._newest[0]:
            return False
        self._left -= 1
        self._newest = (ticker, as_of_ms)
        return True


sampler = TickSampler(settings().traced_ticks)
