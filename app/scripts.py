"""Lua scripts called with as little around them as goes: a tick calls two."""

import hashlib
from collections import defaultdict
from importlib.resources import files
from typing import Any

import hiredis
import redis
from redis.exceptions import AskError, NoScriptError

_EVALSHA = b"EVALSHA"


class Script:
    """One of app/lua's scripts, on connections that it keeps.

    A call by `redis.Redis.evalsha` costs 100 to 150 µs more than its way there and back: each
    takes a connection from the pool, looks whether it is still alive, and tells who observes.
    Here an old connection that is found dead is opened anew, by the client's own rule of retrying.
    """

    def __init__(self, client: redis.Redis, name: str) -> None:
        self._client: Any = client
        self._source = files("app").joinpath("lua", f"{name}.lua").read_text()
        self._sha = hashlib.sha1(self._source.encode()).hexdigest().encode()  # noqa: S324 - Redis names scripts so
        # By pool, of which a cluster has one a node; taken and put back, so that each thread has
        # one of its own.
        self._connections: defaultdict[Any, list[Any]] = defaultdict(list)

    def __call__(self, keys: list[str], args: list[Any]) -> Any:  # noqa: ANN401 - any reply
        """Run the script and return its reply; loads it where the server does not know it."""
        packed = [hiredis.pack_command((_EVALSHA, self._sha, len(keys), *keys, *args))]
        try:
            return self._asked(keys[0], packed)
        except NoScriptError:
            self._client.script_load(self._source)
            return self._asked(keys[0], packed)
        except AskError:
            # A cluster moved the slot: its client finds out where to.
            return self._client.evalsha(self._sha.decode(), len(keys), *keys, *args)

    def _asked(self, key: str, packed: list[bytes]) -> Any:  # noqa: ANN401 - as above
        pool = _pool_of(self._client, key)
        connections = self._connections[pool]
        connection = connections.pop() if connections else pool.get_connection()

        def ask() -> object:
            connection.send_packed_command(packed)
            reply: object = connection.read_response()
            return reply

        try:
            return connection.retry.call_with_retry(ask, lambda _: connection.disconnect())
        finally:
            connections.append(connection)


def _pool_of(client: Any, key: str) -> Any:  # noqa: ANN401 - a client of one server or of a cluster
    """Return the connections of the server that holds a key."""
    if isinstance(client, redis.Redis):
        return client.connection_pool
    return client.get_redis_connection(client.get_node_from_key(key)).connection_pool
