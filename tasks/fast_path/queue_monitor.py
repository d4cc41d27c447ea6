"""Decide which other shards' queues an idle worker helps with."""

from collections.abc import Mapping


class QueueMonitor:
    """Compare the lengths of the other shards' queues from one check to the next.

    A tick in a worker that does not hold its ticker costs as much as four others, and again when
    the ticker goes back. So a queue that shrinks fast enough is left to its own worker; `helped`
    are the queues that would not be empty by the end of the interval.
    """

    def __init__(self) -> None:
        self.helped: list[str] = []
        self._lengths: Mapping[str, int] = {}
        self._checked_at_ms = 0.0

    def pause(self) -> None:
        """Stop helping, because this worker's own queue holds ticks."""
        self.helped, self._lengths = [], {}

    def check(self, lengths: Mapping[str, int], now_ms: float, left_ms: float) -> None:
        """Choose the queues to help with, `left_ms` before the next ticks are published.

        >>> monitor = QueueMonitor()
        >>> monitor.check({"a": 50, "b": 50, "c": 50}, 1000.0, 400.0)
        >>> monitor.check({"a": 30, "b": 48, "c": 50}, 1100.0, 300.0)  # a is empty in 150 ms
        >>> monitor.helped
        ['b', 'c']
        """
        passed_ms = now_ms - self._checked_at_ms
        self.helped = [
            name
            for name, length in lengths.items()
            if _is_late(self._lengths.get(name, 0), length, passed_ms, left_ms)
        ]
        self._lengths, self._checked_at_ms = lengths, now_ms


def _is_late(before: int, now: int, passed_ms: float, left_ms: float) -> bool:
    """Return whether a queue won't be empty in time; False where it was empty or has grown."""
    taken = before - now
    return 0 < now <= before and now * passed_ms > left_ms * taken
