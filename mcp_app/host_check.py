"""Check Host and Origin headers, so that no web page can use the server through a browser."""

import ipaddress
from collections.abc import Iterable
from contextlib import suppress

from mcp.server.transport_security import TransportSecuritySettings
from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from mcp_app.host_names import host_name, origin_of
from mcp_app.rare_log import warn_refused

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


class CheckHosts:
    """Reject other Host (421) and Origin (403) headers on every path, and repeated ones (400).

    The SDK's own check is off: it covers /mcp only, takes any text for a port, heeds case, and
    logs whole headers.
    """

    def __init__(self, app: ASGIApp, allowed: TransportSecuritySettings) -> None:
        self._app = app
        self._hosts = {host_name(text) for text in allowed.allowed_hosts} - {None}
        self._origins = {origin_of(text) for text in allowed.allowed_origins} - {None}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or reject it."""
        refusal = self._refusal(Headers(scope=scope)) if scope["type"] == "http" else None
        await (refusal or self._app)(scope, receive, send)

    def _refusal(self, headers: Headers) -> Response | None:
        hosts, origins = headers.getlist("host"), headers.getlist("origin")
        if len(hosts) > 1 or len(origins) > 1:
            warn_refused("repeated Host or Origin refused", " | ".join(hosts + origins))
            return PlainTextResponse("more than one Host or Origin header", 400)
        if not hosts or host_name(hosts[0]) not in self._hosts:
            warn_refused("Host refused", hosts[0] if hosts else "")
            return PlainTextResponse("this server has no such host name", 421)
        # No Origin, or an empty one: not sent by a page.
        if origins and origins[0] and origin_of(origins[0]) not in self._origins:
            warn_refused("Origin refused", origins[0])
            return PlainTextResponse("pages of this origin may not use this server", 403)
        return None
