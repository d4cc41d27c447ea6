"""Host and Origin: a page in somebody's browser must not ask in that person's name."""

import ipaddress
from collections.abc import Iterable
from contextlib import suppress

from mcp.server.transport_security import TransportSecurityMiddleware, TransportSecuritySettings
from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

LOOPBACK = ("127.0.0.1", "localhost", "[::1]")


def security(host: str, more: Iterable[str] = ()) -> TransportSecuritySettings:
    """Allow the Host and Origin headers of this machine, of the address served, and `more`."""
    names = dict.fromkeys((*LOOPBACK, *map(_in_header, filter(_is_one, (host, *more)))))
    ends = ("", ":*")
    return TransportSecuritySettings(
        allowed_hosts=[name + end for name in names for end in ends],
        allowed_origins=[
            f"{scheme}://{name}{end}"
            for scheme in ("http", "https")
            for name in names
            for end in ends
        ],
    )


def _is_one(host: str) -> bool:
    """Tell whether an address names one machine: 0.0.0.0 means all, and no client asks for it."""
    with suppress(ValueError):
        return not ipaddress.ip_address(host.strip("[]")).is_unspecified
    return bool(host)


def _in_header(host: str) -> str:
    return f"[{host.strip('[]')}]" if ":" in host else host


class CheckHosts:
    """Refuses other Host (421) and Origin (403) headers on every path; the SDK does so on /mcp."""

    def __init__(self, app: ASGIApp, allowed: TransportSecuritySettings) -> None:
        self._app = app
        self._check = TransportSecurityMiddleware(allowed)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer for the application, or refuse."""
        refusal = None
        if scope["type"] == "http":
            refusal = await self._check.validate_request(Request(scope))
        await (refusal or self._app)(scope, receive, send)
