"""Know how many workers run: each writes once a second that it does, while it has work."""

from typing import Any, Final

import redis

from app.storage import keys

RECENT_MS: Final = 10_000
_KEPT_MS: Final = keys.WORKERS_LIFETIME_SECONDS * 1000


# `Any`: redis-py's annotations add an awaitable to every reply.
def add_presence(pipe: Any, name: str, now_ms: float) -> None:  # noqa: ANN401
    """Queue the commands that tell that the worker of a name runs."""
    pipe.zadd(keys.WORKERS, {name: now_ms})
    pipe.zremrangebyscore(keys.WORKERS, "-inf", now_ms - _KEPT_MS)
    pipe.expire(keys.WORKERS, keys.WORKERS_LIFETIME_SECONDS)


def count_workers(client: redis.Redis, now_ms: float) -> int:
    """Return how many worker processes did work in the last 10 s."""
    store: Any = client
    return int(store.zcount(keys.WORKERS, now_ms - RECENT_MS, "+inf"))
