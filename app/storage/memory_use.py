"""How much memory Redis uses: workers ask it, since readers have no right to `INFO`."""

from typing import Any, Final

import redis
from redis.exceptions import NoPermissionError

ASKED_EACH_SECONDS: Final = 10.0


def used_memory_bytes(client: redis.Redis) -> int | None:
    """Return the memory of Redis's data, of all nodes of a cluster; None without the right to ask.

    Raises redis-py's errors.
    """
    # `Any`: redis-py's annotations add an awaitable to every reply.
    store: Any = client
    try:
        found = store.info("memory")
    except NoPermissionError:
        return None
    nodes = [found] if "used_memory" in found else found.values()
    return sum(int(node["used_memory"]) for node in nodes)
