"""Connections that ticks keep, each lent to one tick at a time, with little around a command."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import hiredis
import redis
from redis.exceptions import MovedError, RedisClusterException, ResponseError

from app.core.outage_log import UNAVAILABLE
from app.storage.tick.resp import Command

OutcomeCallback = Callable[[bool, Exception | None], None]
"""Hears whether a transaction was carried out: False where a watched key had changed and nothing
was done, or with an error of redis-py's."""

BAR_EXISTS = "equal or smaller"
"""What Redis says of a bar that is not newer than the newest of its stream."""
WRONG_TYPE = "WRONGTYPE"


class TickConnection:
    """One connection, on which a key may be watched from a tick's read to its write.

    A call by `redis.Redis` costs 100 to 150 µs more than its way there and back: each takes a
    connection from the pool, looks whether it is still alive, and tells who observes. And to wait
    for what becomes of a write costs 70 µs of both sides: it is heard with the next read's replies.
    """

    def __init__(self, connection: Any) -> None:  # noqa: ANN401 - redis-py's, of whatever kind
        self._connection = connection
        self._pending = 0
        self._callback: OutcomeCallback = _ignore_outcome

    def first_read(self, commands: Sequence[Command], number: int = 0) -> list[Any]:
        """Return the replies to a tick's first commands, before which nothing is watched.

        `number` is how many these are where several are packed as one. Sends them once more where
        the connection is found dead. A wrong type is a reply.
        """
        connection = self._connection
        replies: list[Any] = connection.retry.call_with_retry(
            lambda: self._send_and_receive(commands, number or len(commands)),
            lambda _: connection.disconnect(),
        )
        _raise_unexpected(replies, WRONG_TYPE)
        return replies

    def read(self, commands: Sequence[Command]) -> list[Any]:
        """Return the replies to further commands of a tick.

        These go out once: on a new connection nothing would be watched any more.
        """
        replies = self._send_and_receive(commands, len(commands))
        _raise_unexpected(replies, WRONG_TYPE)
        return replies

    def write(self, transaction: Sequence[Command], callback: OutcomeCallback) -> None:
        """Send a transaction; `told` hears at the next read, or when all is settled.

        An error that it hears of may be `ConnectionError` or `TimeoutError`: then it may have been
        carried out. It is not to be repeated, for nothing is watched by then.
        """
        self._pending, self._callback = len(transaction), callback
        try:
            self._send(transaction)
        except UNAVAILABLE as error:
            self._fail_pending(error)

    def await_pending(self) -> None:
        """Hear what became of what was written last."""
        try:
            written = self._receive(self._pending)
        except UNAVAILABLE as error:
            self._fail_pending(error)
        else:
            self._report(written)

    def _send_and_receive(self, commands: Sequence[Command], number: int) -> list[Any]:
        try:
            self._send(commands)
            written = self._receive(self._pending)
            replies = self._receive(number)
        except UNAVAILABLE as error:
            self._fail_pending(error)
            raise
        # Only now: whatever happens there, no reply is left for the next one to take as its own.
        self._report(written)
        return replies

    def _send(self, commands: Sequence[Command]) -> None:
        packed = b"".join(
            [
                command if isinstance(command, bytes) else hiredis.pack_command(command)
                for command in commands
            ]
        )
        self._connection.send_packed_command([packed], check_health=False)

    def _report(self, written: Sequence[Any]) -> None:
        if self._pending:
            callback, self._pending, self._callback = self._callback, 0, _ignore_outcome
            callback(*_outcome(written))

    def _fail_pending(self, error: Exception) -> None:
        """Let nothing of an earlier question be taken for an answer."""
        self._connection.disconnect()
        callback, self._pending, self._callback = self._callback, 0, _ignore_outcome
        callback(False, error)

    def _receive(self, number: int) -> list[Any]:
        """Return replies, errors among them: by redis-py's parser, but 1.2 µs less for each."""
        parser = self._connection._parser  # noqa: SLF001 - its public way asks for the host each time
        try:
            return [parser.read_response() for _ in range(number)]
        except OSError as error:
            raise redis.ConnectionError(f"while reading: {error}") from error


def _ignore_outcome(*_: object) -> None:
    """Hear nothing."""


def _outcome(replies: Sequence[Any]) -> tuple[bool, Exception | None]:
    """Read a transaction's replies."""
    try:
        # The first: a transaction that was refused says so at its end; why, it said before.
        _raise_unexpected(replies, "")
        # A bar is kept already where a state was lost and is built anew.
        _raise_unexpected(replies[-1] or (), BAR_EXISTS)
    except ResponseError as error:
        return False, error
    return replies[-1] is not None, None


def _raise_unexpected(replies: Iterable[Any], expected: str) -> None:
    for reply in replies:
        if isinstance(reply, Exception) and not (expected and expected in str(reply)):
            raise reply


class TickConnections:
    """Lines to the servers that hold the data: one, or the nodes of a cluster."""

    def __init__(self, client: redis.Redis) -> None:
        self._client: Any = client
        # By pool, of which a cluster has one a node; taken and put back, so that each thread has
        # one of its own.
        self._idle: defaultdict[Any, list[TickConnection]] = defaultdict(list)

    @contextmanager
    def connection_for(self, key: str) -> Iterator[TickConnection]:
        """Lend a line to the server that holds a key."""
        pool = self._pool_of(key)
        connections = self._idle[pool]
        connection = connections.pop() if connections else TickConnection(pool.get_connection())
        try:
            yield connection
        except (MovedError, *UNAVAILABLE):
            # A cluster gave the slot to another node, or lost one: the next tick finds the new one.
            self._refresh_nodes()
            raise
        finally:
            connections.append(connection)

    def _refresh_nodes(self) -> None:
        if not isinstance(self._client, redis.Redis):
            with suppress(redis.RedisError, RedisClusterException):
                self._client.nodes_manager.initialize()

    def await_pending(self) -> None:
        """Hear what became of everything that was written."""
        for connections in self._idle.values():
            for connection in connections:
                connection.await_pending()

    def _pool_of(self, key: str) -> Any:  # noqa: ANN401 - as above
        if isinstance(self._client, redis.Redis):
            return self._client.connection_pool
        node = self._client.get_node_from_key(key)
        return self._client.get_redis_connection(node).connection_pool
