"""Send many small Redis commands with little CPU: encoded in advance, replies only counted."""

import socket
from collections.abc import Iterable, Sequence

import hiredis

_CHUNK_BYTES = 1 << 20


def encode_command(*words: bytes) -> bytes:
    """Return one command in Redis's protocol."""
    parts = [b"*%d\r\n" % len(words)]
    parts += (b"$%d\r\n%s\r\n" % (len(word), word) for word in words)
    return b"".join(parts)


def as_of_command(ticker: str) -> bytes:
    """Return the command that reads the time of a ticker's newest tick."""
    return encode_command(b"HGET", b"orderflow:metrics:%s:10s" % ticker.encode(), b"as_of")


class RedisSocket:
    """A connection that sends encoded commands and reads their replies."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._replies = hiredis.Reader()

    def round_trip(self, commands: Iterable[bytes], number: int) -> Sequence[bytes | int | None]:
        """Send commands and return their `number` replies."""
        self._socket.sendall(b"".join(commands))
        found: list[bytes | int | None] = []
        while len(found) < number:
            reply = self._replies.gets()
            if reply is False:
                self._replies.feed(self._socket.recv(_CHUNK_BYTES))
                continue
            found.append(reply)
        return found
