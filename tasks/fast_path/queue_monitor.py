"""When an idle worker takes other shards' ticks: where nobody does, or not in time."""

from collections.abc import Mapping

LOOK_EACH_MS = 100.0


class QueueMonitor:
    """What one worker knows of the others' queues, from looking at their lengths now and then.

    A tick that comes to a worker which does not hold its ticker costs as much as four others, and
    again when it goes back. So a queue that shrinks fast enough is left to its own worker, and
    `helped` are those that would not be empty by the end of the interval.
    """

    def __init__(self) -> None:
        self.helped: list[str] = []
        self._seen: Mapping[str, int] = {}
        self._seen_at_ms = 0.0

    def pause(self) -> None:
        """Have work of one's own."""
        self.helped, self._seen = [], {}

    def check(self, lengths: Mapping[str, int], now_ms: float, left_ms: float) -> None:
        """Take note of the others' queues, `left_ms` before the next ticks come.

        >>> lookout = Lookout()
        >>> lookout.look({"a": 50, "b": 50, "c": 50}, 1000.0, 400.0)
        >>> lookout.look({"a": 30, "b": 48, "c": 50}, 1100.0, 300.0)  # a is done in 150 ms
        >>> lookout.helped
        ['b', 'c']
        """
        passed_ms = now_ms - self._seen_at_ms
        self.helped = [
            name
            for name, length in lengths.items()
            if _is_late(self._seen.get(name, 0), length, passed_ms, left_ms)
        ]
        self._seen, self._seen_at_ms = lengths, now_ms


def _is_late(before: int, now: int, passed_ms: float, left_ms: float) -> bool:
    """Tell whether a queue that was as long before will not be empty in time; unknown is no."""
    taken = before - now
    return 0 < now <= before and now * passed_ms > left_ms * taken
