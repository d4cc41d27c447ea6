"""This machine's own address: of IPv4, or of IPv6 on a host that has no IPv4."""

import errno
import functools
import socket
from typing import Any

IPV4, IPV6 = "127.0.0.1", "::1"
_NO_SUCH_ADDRESS = frozenset({errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT})


@functools.cache
def loopback() -> str:
    """Return the address by which processes of this machine reach each other."""
    return IPV6 if not has_address(IPV4) and has_address(IPV6) else IPV4


def has_address(host: str) -> bool:
    """Return whether an address, or one of a name's, is this machine's."""
    return listening_error(host, 0) not in _NO_SUCH_ADDRESS


def listening_error(host: str, port: int) -> int | None:
    """Return the number of the system's error on listening at an address, None where it works.

    Of a name's addresses, those that this machine lacks don't count where it has another one.
    """
    errors: list[int | None] = []
    try:
        found = socket.getaddrinfo(
            host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
    except socket.gaierror as error:
        return error.errno
    for family, kind, _, _, address in found:
        errors.append(_error_at(family, kind, address))
    present = [error for error in errors if error not in _NO_SUCH_ADDRESS]
    return next((error for error in present if error is not None), None) if present else errors[0]


def _error_at(family: int, kind: int, address: Any) -> int | None:  # noqa: ANN401 - by family
    try:
        with socket.socket(family, kind) as listener:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
            listener.listen()
    except OSError as error:
        return error.errno
    return None
