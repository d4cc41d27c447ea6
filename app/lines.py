"""Connections that ticks keep, each lent to one tick at a time, with little around a command."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import hiredis
import redis
from redis.exceptions import ExecAbortError, MovedError, NoScriptError, ResponseError

from app.scripts import Script

Command = tuple[Any, ...]
ALREADY_THERE = "equal or smaller"
"""What Redis says of a bar that is not newer than the newest of its stream."""


class Line:
    """One connection, on which keys may be watched from a tick's read to its write.

    A call by `redis.Redis` costs 100 to 150 µs more than its way there and back: each takes a
    connection from the pool, looks whether it is still alive, and tells who observes.
    """

    def __init__(self, connection: Any) -> None:  # noqa: ANN401 - redis-py's, of whatever kind
        self._connection = connection

    def read(self, script: Script, words: Iterable[Any], after: Iterable[Command]) -> list[Any]:
        """Run a script that changes nothing much, then commands; return all replies.

        Once more where the connection is found dead, or the server does not know the script.
        """
        commands = [("EVALSHA", script.sha, *words), *after]
        replies = self._asked_again(commands)
        if isinstance(replies[0], NoScriptError):
            self._asked_again([("SCRIPT", "LOAD", script.text)])
            replies = self._asked_again(commands)
        return _whole(replies)

    def write(self, transaction: Sequence[Command]) -> bool:
        """Carry out a transaction; False where a watched key was changed, and nothing was done.

        Raises redis-py's errors. Where that is `ConnectionError` or `TimeoutError`, it may have
        been done: not to be repeated, for nothing is watched by then.
        """
        *_, done = _whole(self._asked(transaction))
        if done is None:
            return False
        # A bar is kept already where a state was lost and is built anew.
        _whole(reply for reply in done if ALREADY_THERE not in str(reply))
        return True

    def _asked_again(self, commands: Sequence[Command]) -> list[Any]:
        connection = self._connection
        replies: list[Any] = connection.retry.call_with_retry(
            lambda: self._asked(commands), lambda _: connection.disconnect()
        )
        return replies

    def _asked(self, commands: Sequence[Command]) -> list[Any]:
        """Send commands at once and return their replies, errors among them."""
        packed = b"".join([hiredis.pack_command(command) for command in commands])
        self._connection.send_packed_command([packed])
        return [self._reply() for _ in commands]

    def _reply(self) -> Any:  # noqa: ANN401 - any reply
        try:
            return self._connection.read_response()
        except ResponseError as error:
            return error


def _whole(replies: Iterable[Any]) -> list[Any]:
    """Return replies, none of which is an error.

    A transaction that was refused says so at its end; why, it said before.
    """
    found = [*replies]
    errors = [reply for reply in found if isinstance(reply, Exception)]
    if errors:
        raise next((e for e in errors if not isinstance(e, ExecAbortError)), errors[0])
    return found


class Lines:
    """Lines to the servers that hold the data: one, or the nodes of a cluster."""

    def __init__(self, client: redis.Redis) -> None:
        self._client: Any = client
        # By pool, of which a cluster has one a node; taken and put back, so that each thread has
        # one of its own.
        self._lines: defaultdict[Any, list[Line]] = defaultdict(list)

    @contextmanager
    def to(self, key: str) -> Iterator[Line]:
        """Lend a line to the server that holds a key."""
        pool = self._pool_of(key)
        lines = self._lines[pool]
        line = lines.pop() if lines else Line(pool.get_connection())
        try:
            yield line
        except MovedError:
            # A cluster gave the slot to another node: the next tick finds it there.
            self._client.nodes_manager.initialize()
            raise
        finally:
            lines.append(line)

    def _pool_of(self, key: str) -> Any:  # noqa: ANN401 - as above
        if isinstance(self._client, redis.Redis):
            return self._client.connection_pool
        node = self._client.get_node_from_key(key)
        return self._client.get_redis_connection(node).connection_pool
