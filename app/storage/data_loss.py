"""Detect that Redis recently lost all data, also that of tickers new to this process."""

from typing import Any
from uuid import uuid4

from app.storage import keys
from app.storage.active_tickers import ACTIVE_MS
from app.storage.published import read_number

POSSIBLE_LOSS_MS = 5_000


class DataLossDetector:
    """Compares the database id; a changed id means that data was lost.

    The process that finds it changed stores when, for processes that never saw the earlier id.
    """

    def __init__(self, client: Any) -> None:  # noqa: ANN401 - a server's or a cluster's client
        self._redis = client
        self._database_id = b""
        self._emptied_at = -float(ACTIVE_MS)
        self._checked_at = 0

    @property
    def has_checked(self) -> bool:
        """Return whether this process has read the database id yet."""
        return bool(self._database_id)

    def check(self, as_of: int) -> bool:
        """Return whether Redis was emptied in the 300 s before `as_of`; ask Redis once for each.

        A loss that was noted by a clock far ahead tells nothing.
        """
        if as_of != self._checked_at:
            self._read_heartbeat(as_of)
            self._checked_at = as_of
        return abs(as_of - self._emptied_at) < ACTIVE_MS

    def _read_heartbeat(self, as_of: int) -> None:
        """Read the id (create it if missing) and when the last loss was found; store a new loss."""
        pipe = self._redis.pipeline()
        pipe.hsetnx(keys.HEARTBEAT, "birth", uuid4().hex)
        pipe.hmget(keys.HEARTBEAT, "birth", "emptied_at")
        pipe.expire(keys.HEARTBEAT, keys.HEARTBEAT_LIFETIME_SECONDS)
        database_id, emptied_at = pipe.execute()[1]
        if self._database_id not in (b"", database_id):
            self._emptied_at = as_of
            self._redis.hset(keys.HEARTBEAT, "emptied_at", as_of)
        else:
            self._emptied_at = max(self._emptied_at, read_number(emptied_at) or self._emptied_at)
        self._database_id = database_id
