"""Tell when the first of a type's living events was noticed, also where many close in a second."""

from collections.abc import Iterable
from heapq import heappop, heappush


class NoticedSeconds:
    """The whole seconds (ms) at which living events were noticed, each with their number.

    Seconds without an event any more are forgotten once they are the first: an event takes a time
    that grows with the logarithm of their number, not with it.
    """

    __slots__ = ("_counts", "_seconds")

    _counts: dict[int, int]
    _seconds: list[int]

    def __init__(self, noticed: Iterable[int]) -> None:
        self._counts = {}
        self._seconds = []
        for second in noticed:
            self.add(second)

    def add(self, second: int) -> None:
        """Add an event that was noticed at a second."""
        before = self._counts.get(second)
        if before is None:
            heappush(self._seconds, second)
        self._counts[second] = (before or 0) + 1

    def remove(self, second: int) -> None:
        """Remove an event that was noticed at a second."""
        self._counts[second] -= 1

    def first(self) -> int:
        """Return the first second that has an event, 0 where there is none."""
        while self._seconds:
            first = self._seconds[0]
            if self._counts[first]:
                return first
            del self._counts[heappop(self._seconds)]
        return 0
