"""Choose the ticks that monitoring tools see: a bounded number a second, all tickers in turn."""

from collections.abc import Callable

from app.core import clock
from app.core.settings import settings

_SECOND_MS = 1000
_BACK_MS = 60_000
"""An `as_of` that is further back is one of a clock that was set back."""
_MOST_SHOWN = 100_000
"""A round of more tickers ends: new names would otherwise fill the memory for ever."""


class TickSampler:
    """Choose up to `most` ticks a second, by rounds: each ticker once before any a second time.

    A round ends with the first `as_of` at which no ticker was left out for want of room. Neither
    the order of the ticks nor the moment at which a second ends decides who has a turn.
    """

    def __init__(self, most: int, now_ms: Callable[[], float] = clock.now_ms) -> None:
        self._most = most
        self._now_ms = now_ms
        self._second = 0
        self._left = most
        self._newest = ("", 0)
        self._as_of_ms = 0
        self._shown: set[str] = set()
        self._is_one_left_out = False

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
        if not self._as_of_ms - _BACK_MS <= as_of_ms <= self._as_of_ms:
            self._begin_as_of(as_of_ms)
        second = int(self._now_ms() // _SECOND_MS)
        if second != self._second:
            self._second, self._left = second, self._most
        if ticker in self._shown:
            return False
        if not self._left:
            self._is_one_left_out = True
            return False
        self._left -= 1
        self._shown.add(ticker)
        self._newest = (ticker, as_of_ms)
        return True

    def _begin_as_of(self, as_of_ms: int) -> None:
        """Begin a new round where the `as_of` before left no ticker out."""
        if not self._is_one_left_out or len(self._shown) > _MOST_SHOWN:
            self._shown.clear()
        self._as_of_ms, self._is_one_left_out = as_of_ms, False


sampler = TickSampler(settings().traced_ticks)
