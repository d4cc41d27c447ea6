"""Lua scripts called with as little around them as goes: a tick calls two."""

from importlib.resources import files
from typing import Any

import hiredis
import redis
from redis.exceptions import NoScriptError

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
        self._sha = self._client.register_script(self._source).sha.encode()
        # Taken and put back, so that each thread has one of its own.
        self._connections: list[Any] = []

    def __call__(self, keys: list[str], args: list[Any]) -> Any:  # noqa: ANN401 - any reply
        """Run the script and return its reply; loads it where the server does not know it."""
        packed = [hiredis.pack_command((_EVALSHA, self._sha, len(keys), *keys, *args))]
        try:
            return self._asked(packed)
        except NoScriptError:
            self._client.script_load(self._source)
            return self._asked(packed)

    def _asked(self, packed: list[bytes]) -> Any:  # noqa: ANN401 - as above
        connections = self._connections
        connection = (
            connections.pop() if connections else self._client.connection_pool.get_connection()
        )

        def ask() -> object:
            connection.send_packed_command(packed)
            reply: object = connection.read_response()
            return reply

        try:
            return connection.retry.call_with_retry(ask, lambda _: connection.disconnect())
        finally:
            connections.append(connection)
