"""Guard the desk: for its own pages only, behind a login where tokens are set."""

import math
import re
from collections.abc import Iterable
from typing import Final

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import cookie_parser
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mcp_app.bearer_tokens import StaticTokenVerifier
from mcp_app.desk_login import Logins, cookie_name
from mcp_app.limits import client_of
from mcp_app.rare_log import warn_refused

LOGIN_PATH: Final = "/desk/login"
PAGES: Final = frozenset(("/", "/desk", LOGIN_PATH))
"""What a link on another page may lead to."""
FILE: Final = re.compile(r"/desk/[a-z0-9_-]{1,64}\.(js|css|svg)")
"""Paths of the page's files, which hold no data and are served without a login."""
_OWN_SITES: Final = frozenset(("same-origin", "none"))
HEADERS: Final = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    # With `no-referrer` browsers would send a form with `Origin: null`, which is refused.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Frame-Options": "DENY",
}


def is_desk(path: str) -> bool:
    """Return whether a path is one of the desk's.

    >>> is_desk("/"), is_desk("/desk/now"), is_desk("/desktop"), is_desk("/mcp")
    (True, True, False, False)
    """
    return path in PAGES or path.startswith("/desk/")


class ServeDesk:
    """Hand requests for the desk to the desk, and all others on.

    So the desk is behind the checks that run before this, and has no part in those that run after:
    bearer tokens, for which it has a login, and leave for pages of other origins, which it gives to
    none.
    """

    def __init__(self, app: ASGIApp, desk: ASGIApp) -> None:
        self._app = app
        self._desk = desk

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on."""
        is_for_desk = scope["type"] == "http" and is_desk(scope["path"])
        await (self._desk if is_for_desk else self._app)(scope, receive, send)


class GuardDesk:
    """Refuse requests of other pages and of those who are not logged in; add the desk's headers."""

    def __init__(self, app: ASGIApp, logins: Logins, tokens: Iterable[str]) -> None:
        self._app = app
        self._logins = logins
        self._verifier = StaticTokenVerifier([*tokens])

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or reject it."""

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(HEADERS)
            await send(message)

        refusal = await self._refusal(scope, Headers(scope=scope))
        await (refusal or self._app)(scope, receive, send_with_headers)

    async def _refusal(self, scope: Scope, headers: Headers) -> Response | None:
        path = scope["path"]
        is_page = path in PAGES and scope["method"] in ("GET", "HEAD")
        if not is_page and _is_of_other_page(headers):
            warn_refused("request of another page refused", headers.get("origin", path))
            return JSONResponse({"error": "only the desk's own page may ask this"}, 403)
        if path in ("/", LOGIN_PATH) or FILE.fullmatch(path):
            return None
        cookies = cookie_parser(headers.get("cookie", ""))
        if self._logins.is_valid(cookies.get(cookie_name(headers.get("host", "")))):
            return None
        scheme, _, token = headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer":
            return await self._refusal_of_bearer(token, client_of(scope))
        if is_page:
            return RedirectResponse(LOGIN_PATH, 303)
        return JSONResponse({"error": f"log in at {LOGIN_PATH}"}, 401)

    async def _refusal_of_bearer(self, token: str, client: str) -> Response | None:
        """Refuse a wrong token, as programs send it; it counts as an attempt to log in."""
        left_seconds = math.ceil(self._logins.left_seconds(client))
        if left_seconds:
            error = {"error": f"too many wrong tokens; ask again in {left_seconds} s"}
            return JSONResponse(error, 429, headers={"Retry-After": str(left_seconds)})
        if await self._verifier.verify_token(token) is not None:
            return None
        self._logins.wait_seconds(client)
        return JSONResponse({"error": f"log in at {LOGIN_PATH}"}, 401)


def _is_of_other_page(headers: Headers) -> bool:
    """Return whether a browser says that the page of another origin sent a request.

    Older browsers tell only the origin; behind a proxy its scheme differs from the server's.
    """
    site = headers.get("sec-fetch-site")
    if site is not None:
        return site not in _OWN_SITES
    origin = headers.get("origin", "")
    return bool(origin) and origin.lower().partition("://")[2] != headers.get("host", "").lower()
