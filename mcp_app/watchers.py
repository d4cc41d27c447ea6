"""Tell one session of updates, in a task of its own: a slow client holds up nobody."""

import asyncio
from collections.abc import Awaitable, Callable

from mcp.server.connection import Connection

from mcp_app.rare_log import warn_refused

SEND_SECONDS = 5.0


class Watcher:
    """The subscriptions of a session of protocol 2025, and the updates that it is not told yet.

    An update that waits stands for all later ones of its resource, so that what waits is bounded
    by the subscriptions. A session whose client takes none for `SEND_SECONDS` is ended: the client
    finds that out when it goes on, and knows by it that it missed updates.
    """

    def __init__(self, connection: Connection, end: Callable[[str], Awaitable[None]]) -> None:
        self.uris: dict[str, str] = {}
        """The URIs in their usual form, and as the client wrote them."""
        self._connection = connection
        self._end = end
        self._waiting: dict[str, None] = {}
        self._has_waiting = asyncio.Event()
        self._task = asyncio.create_task(self._run())

    def tell(self, uri: str) -> None:
        """Tell the session that a resource changed."""
        self._waiting[uri] = None
        self._has_waiting.set()

    def stop(self) -> None:
        """Tell the session nothing more."""
        self._task.cancel()

    async def _run(self) -> None:
        while True:
            await self._has_waiting.wait()
            self._has_waiting.clear()
            waiting, self._waiting = self._waiting, {}
            try:
                for uri in waiting:
                    await self._send(uri)
            except TimeoutError:
                await self._end_session()

    async def _send(self, uri: str) -> None:
        written = self.uris.get(uri)
        # It may have unsubscribed since.
        if written is not None:
            async with asyncio.timeout(SEND_SECONDS):
                await self._connection.send_resource_updated(written)

    async def _end_session(self) -> None:
        """End a session over HTTP; on stdio the client is the only one, and may read on later."""
        session_id = self._connection.session_id
        if session_id is not None:
            warn_refused("session ended: its client does not read", f"{len(self.uris)} resources")
            # The end of the session stops this task, too; it must not stop the end of the session.
            await asyncio.shield(asyncio.ensure_future(self._end(session_id)))
