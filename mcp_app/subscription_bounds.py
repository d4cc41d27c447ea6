"""Bound subscriptions: to resources that there can be, by number in a session and in all."""

from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, contextmanager
from typing import Any

from mcp.server.context import CallNext, HandlerResult, ServerMiddleware, ServerRequestContext
from mcp.shared.exceptions import MCPError
from mcp.types import INVALID_PARAMS

from app.core.rare_events import shown
from mcp_app.argument_bounds import list_faults
from mcp_app.resource_addresses import PATTERNS, SNAPSHOT, TICKERS, known_uri

# Both resources of all tickers that one server analyses at usual rates would be 2,401.
MAX_A_SESSION = 1000
MAX_IN_ALL = 50_000
_LISTEN = "subscriptions/listen"


class SubscriptionBounds:
    """Count the subscriptions of a server, and refuse those above the bounds.

    `other_uris` returns the URIs of resources that are not tickers'; `streaming` watches resources
    as long as a stream lasts.
    """

    def __init__(
        self,
        other_uris: Callable[[], Awaitable[frozenset[str]]],
        streaming: Callable[[Iterable[str]], AbstractAsyncContextManager[None]],
    ) -> None:
        self._other_uris = other_uris
        self._streaming = streaming
        self._in_all = 0

    async def usual_form(self, uri: str) -> str:
        """Return the usual form of a resource's URI; raise `MCPError` if there is no such one."""
        known = known_uri(uri)
        if known is not None:
            return known
        if uri in await self._other_uris():
            return uri
        raise MCPError(INVALID_PARAMS, _no_resource(uri))

    def add(self, number: int, in_session: int) -> None:
        """Count further subscriptions of a session that has some, or raise `MCPError`."""
        if in_session + number > MAX_A_SESSION:
            raise MCPError(
                INVALID_PARAMS,
                f"{in_session + number} subscriptions in a session; allowed are {MAX_A_SESSION}",
            )
        if self._in_all + number > MAX_IN_ALL:
            raise MCPError(
                INVALID_PARAMS, f"all {MAX_IN_ALL} subscriptions of this server are taken"
            )
        self._in_all += number

    def remove(self, number: int) -> None:
        """Count that subscriptions ended."""
        self._in_all -= number

    @contextmanager
    def counted(self, number: int) -> Iterator[None]:
        """Count the subscriptions of a stream as long as the context lasts."""
        self.add(number, 0)
        try:
            yield
        finally:
            self.remove(number)

    def of_streams(self) -> ServerMiddleware[Any]:
        """Return a middleware that bounds the streams of clients of protocol 2026."""

        async def bound_stream(
            ctx: ServerRequestContext[Any, Any], call_next: CallNext
        ) -> HandlerResult:
            if ctx.method != _LISTEN:
                return await call_next(ctx)
            uris = _uris_of(ctx.params or {})
            if len(uris) <= MAX_A_SESSION:
                await self._check_all(uris)
            with self.counted(len(uris)):
                async with self._streaming(uris):
                    return await call_next(ctx)

        return bound_stream

    async def _check_all(self, uris: list[str]) -> None:
        unknown = [uri for uri in uris if known_uri(uri) is None]
        others = await self._other_uris() if unknown else frozenset()
        faults = [_no_resource(uri) for uri in unknown if uri not in others]
        if faults:
            raise MCPError(INVALID_PARAMS, list_faults(faults))


def _no_resource(uri: str) -> str:
    return f"no such resource: {shown(uri)}; there are {TICKERS}, {SNAPSHOT} and {PATTERNS}"


def _uris_of(params: Mapping[str, Any]) -> list[str]:
    """Return the URIs in the parameters of a stream; what is none is left to the SDK to refuse."""
    wanted = params.get("notifications")
    uris = wanted.get("resourceSubscriptions") if isinstance(wanted, dict) else None
    return [uri for uri in uris if isinstance(uri, str)] if isinstance(uris, list) else []
