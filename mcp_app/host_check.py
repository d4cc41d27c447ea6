"""Check Host and Origin headers, so that no web page can use the server through a browser."""

import ipaddress
import re
from collections.abc import Iterable
from contextlib import suppress

from mcp.server.transport_security import TransportSecurityMiddleware, TransportSecuritySettings
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

_ANY_PORT = ":*"
LOOPBACK = ("127.0.0.1", "localhost", "[::1]")


def transport_security(host: str, extra_hosts: Iterable[str] = ()) -> TransportSecuritySettings:
    """Return settings that allow this machine, the address served and `extra_hosts`."""
    names = dict.fromkeys(
        (*LOOPBACK, *map(_as_in_header, filter(_names_one_host, (host, *extra_hosts))))
    )
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


def _names_one_host(host: str) -> bool:
    """Return whether an address names one host; 0.0.0.0 means all and is in no Host header."""
    with suppress(ValueError):
        return not ipaddress.ip_address(host.strip("[]")).is_unspecified
    return bool(host)


def _as_in_header(host: str) -> str:
    return f"[{host.strip('[]')}]" if ":" in host else host


def origin_pattern(allowed: TransportSecuritySettings) -> str:
    """Return a regular expression for the allowed origins, in which `:*` is any port.

    >>> origin_pattern(TransportSecuritySettings(allowed_origins=["http://a", "http://a:*"]))
    'http://a|http://a:[0-9]+'
    """
    return "|".join(
        f"{re.escape(origin.removesuffix(_ANY_PORT))}:[0-9]+"
        if origin.endswith(_ANY_PORT)
        else re.escape(origin)
        for origin in allowed.allowed_origins
    )


class CheckHosts:
    """Reject other Host (421) and Origin (403) headers on every path; the SDK checks /mcp only."""

    def __init__(self, app: ASGIApp, allowed: TransportSecuritySettings) -> None:
        self._app = app
        self._check = TransportSecurityMiddleware(allowed)
        self._origins = re.compile(origin_pattern(allowed))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or reject it."""
        refusal = await self._refusal(Request(scope)) if scope["type"] == "http" else None
        await (refusal or self._app)(scope, receive, send)

    async def _refusal(self, request: Request) -> Response | None:
        refusal = await self._check.validate_request(request)
        origin = request.headers.get("origin")
        # The SDK takes anything for a port.
        if refusal is None and origin and not self._origins.fullmatch(origin):
            return Response("Invalid Origin header", status_code=403)
        return refusal
