"""Bound the sessions of a client and in all, and what they keep; the longest idle end first."""

from collections import OrderedDict
from collections.abc import Awaitable, Callable

import msgspec
from mcp.server.streamable_http import MCP_SESSION_ID_HEADER
from mcp.shared.inbound import MCP_PROTOCOL_VERSION_HEADER
from mcp.types.version import HANDSHAKE_PROTOCOL_VERSIONS
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mcp_app.limits import client_of

MAX_IN_ALL = 1000
MAX_A_CLIENT = 250
# A session keeps its newest request, which takes up to twenty times as much memory once decoded.
MAX_BYTES_IN_ALL = 8 * 2**20
_GONE = 404


class _Session(msgspec.Struct):
    client: str
    requests: int = 0
    kept_bytes: int = 0


class _CountedBody:
    """The body of a request, and how many bytes of it were received."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self.bytes = 0

    async def receive(self) -> Message:
        message = await self._receive()
        self.bytes += len(message.get("body", b""))
        return message


class LimitSessions:
    """End idle sessions where there are too many; refuse new ones where all are in use.

    A session with an open stream, or another request that is being answered, is in use.
    """

    def __init__(
        self,
        app: ASGIApp,
        end: Callable[[str], Awaitable[None]],
        in_all: int = MAX_IN_ALL,
        a_client: int = MAX_A_CLIENT,
    ) -> None:
        self._app = app
        self._end = end
        self._in_all = in_all
        self._a_client = a_client
        # The one unused for longest comes first.
        self._sessions: OrderedDict[str, _Session] = OrderedDict()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or refuse it because it would begin a session too many."""
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        headers = Headers(scope=scope)
        session_id = headers.get(MCP_SESSION_ID_HEADER)
        if session_id is not None and session_id in self._sessions:
            return await self._pass_on(session_id, scope, receive, send)
        if session_id is not None or not _may_begin(scope, headers):
            return await self._app(scope, receive, send)
        if not self._has_room(client_of(scope)):
            return await _refusal()(scope, receive, send)
        return await self._begin(scope, receive, send)

    async def _pass_on(self, session_id: str, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on a request of a session; notice if the session has ended."""
        session = self._sessions[session_id]
        session.requests += 1

        async def send_and_watch(message: Message) -> None:
            if message.get("status") == _GONE:
                self._sessions.pop(session_id, None)
            await send(message)

        body = _CountedBody(receive)
        try:
            await self._app(scope, body.receive, send_and_watch)
        finally:
            session.requests -= 1
            session.kept_bytes = body.bytes or session.kept_bytes
            if scope["method"] == "DELETE":
                self._sessions.pop(session_id, None)
            if session_id in self._sessions:
                self._sessions.move_to_end(session_id)
            await self._make_room_for_bytes()

    async def _begin(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on a request that may begin a session; make room for it if it does."""

        async def send_and_watch(message: Message) -> None:
            if message["type"] == "http.response.start" and message["status"] < 400:  # noqa: PLR2004 - errors
                begun = MutableHeaders(scope=message).get(MCP_SESSION_ID_HEADER)
                if begun is not None:
                    self._sessions[begun] = _Session(client_of(scope), kept_bytes=body.bytes)
                    await self._make_room(client_of(scope))
            await send(message)

        body = _CountedBody(receive)
        await self._app(scope, body.receive, send_and_watch)
        await self._make_room_for_bytes()

    def _has_room(self, client: str) -> bool:
        """Return whether a session can begin, if need be in place of an idle one."""
        of_client = [one for one in self._sessions.values() if one.client == client]
        return _fits(of_client, self._a_client) and _fits([*self._sessions.values()], self._in_all)

    async def _make_room(self, client: str) -> None:
        """End the client's longest idle session if it has too many, and the longest idle of all."""
        of_client = {
            session_id: one for session_id, one in self._sessions.items() if one.client == client
        }
        await self._end_one_above(self._a_client, of_client)
        await self._end_one_above(self._in_all, self._sessions)

    async def _make_room_for_bytes(self) -> None:
        """End the longest unused of the sessions that keep more than their share of all bytes.

        Also those with an open stream: no request that is answered is as large as such a share.
        """
        kept = sum(one.kept_bytes for one in self._sessions.values())
        if kept <= MAX_BYTES_IN_ALL:
            return
        share = MAX_BYTES_IN_ALL // self._in_all
        for session_id, one in list(self._sessions.items()):
            if kept > MAX_BYTES_IN_ALL and one.kept_bytes > share:
                kept -= one.kept_bytes
                self._sessions.pop(session_id, None)
                await self._end(session_id)

    async def _end_one_above(self, most: int, sessions: dict[str, _Session]) -> None:
        if len(sessions) > most:
            # The last one has just begun.
            idle = [session_id for session_id, one in sessions.items() if not one.requests][:-1]
            for session_id in idle[:1]:
                del self._sessions[session_id]
                await self._end(session_id)


def _may_begin(scope: Scope, headers: Headers) -> bool:
    """Return whether a request without session may begin one; those of protocol 2026 never do."""
    version = headers.get(MCP_PROTOCOL_VERSION_HEADER)
    is_handshake = version is None or version in HANDSHAKE_PROTOCOL_VERSIONS
    return scope["method"] == "POST" and is_handshake


def _fits(sessions: list[_Session], most: int) -> bool:
    return len(sessions) < most or not all(one.requests for one in sessions)


def _refusal() -> JSONResponse:
    return JSONResponse(
        {"error": "too many sessions are in use; end one, or come back in 60 s"},
        status_code=503,
        headers={"Retry-After": "60"},
    )
