"""Walk over all keys by SCAN, a step at a time; in a cluster one node after the other."""

from typing import Any, Protocol

import redis


class ScanPlace(Protocol):
    """How far a walk has come: the cursor, and the number of the cluster's node."""

    cursor: int
    node: int


class KeyScan:
    """Steps of walks over all keys; how far each has come is kept by its caller."""

    def __init__(self, client: redis.Redis) -> None:
        # `Any`: redis-py annotates every reply as possibly awaitable.
        self._redis: Any = client
        self._is_cluster = not isinstance(client, redis.Redis)

    def step(self, place: ScanPlace, pattern: str, count: int) -> list[bytes]:
        """Run one SCAN for sorted sets, and go on to the next place; return the keys found."""
        if not self._is_cluster:
            place.cursor, found = self._redis.scan(place.cursor, pattern, count, "zset")
            return list(found)
        nodes = self._nodes()
        node = nodes[place.node % len(nodes)]
        cursors, found = self._redis.scan(place.cursor, pattern, count, "zset", target_nodes=node)
        place.cursor = cursors[node.name]
        if not place.cursor:
            place.node = (place.node + 1) % len(nodes)
        return list(found)

    def key_count(self, place: ScanPlace) -> int:
        """Return how many keys there are, in a cluster as if all nodes were like the present."""
        if not self._is_cluster:
            return int(self._redis.dbsize())
        nodes = self._nodes()
        node = nodes[place.node % len(nodes)]
        return int(self._redis.dbsize(target_nodes=node)) * len(nodes)

    def _nodes(self) -> list[Any]:
        return sorted(self._redis.get_primaries(), key=lambda node: str(node.name))
