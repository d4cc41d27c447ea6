"""Ask Redis for its time: a second clock, for where two of this system's clocks differ.

Nothing is timed by it. It decides which of two clocks is believed, and whether what can't be undone
is done: a wrong clock of one host must neither stop a shard nor throw a good state away.
"""

import time
from typing import Any

from app.analysis.bars import SECOND_MS

_KEPT_SECONDS = 0.2
_MICROSECONDS = 1000


class ServerClock:
    """The clock of the Redis server, read at most five times a second."""

    def __init__(self, client: Any) -> None:  # noqa: ANN401 - a server's or a cluster's client
        self._redis = client
        self._read_at = -_KEPT_SECONDS
        self._offset_ms = 0.0

    def now_ms(self) -> float:
        """Return the server's time as epoch ms. Raises redis-py's errors."""
        here_seconds = time.monotonic()
        if here_seconds - self._read_at > _KEPT_SECONDS:
            self._offset_ms = self._read() - here_seconds * SECOND_MS
            self._read_at = here_seconds
        return here_seconds * SECOND_MS + self._offset_ms

    def _read(self) -> float:
        reply = self._redis.time()
        # A cluster's client asks each node.
        seconds, microseconds = next(iter(reply.values())) if isinstance(reply, dict) else reply
        return float(seconds * SECOND_MS + microseconds / _MICROSECONDS)
