"""An adapter that runs in a thread of its own, and what it has given so far."""

import asyncio
import threading
from typing import Self

from app.core.errors import OrderFlowError
from app.feeds.live.venue import Batch, Update, Venue
from tests.processes import BOUND_SECONDS, wait_until


class Listener:
    """One connection of an adapter, from `with` on until it ends or the block does."""

    def __init__(self, adapter: Venue) -> None:
        self.adapter = adapter
        self.batches: list[Batch] = []
        self.error: Exception | None = None
        self._loop = asyncio.new_event_loop()
        self._task: asyncio.Task[None] | None = None
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._cancel)
        self._thread.join(BOUND_SECONDS)
        assert not self._thread.is_alive()
        self._loop.close()

    @property
    def updates(self) -> list[Update]:
        """Return all records so far."""
        return [update for batch in [*self.batches] for update in batch]

    def wait_for_updates(self, count: int) -> list[Update]:
        """Wait until so many records have come, and return them."""
        wait_until(lambda: self.error is not None or len(self.updates) >= count, f"{count} records")
        assert self.error is None, self.error
        return self.updates

    def wait_for_batches(self, count: int) -> None:
        """Wait until so many frames have come, with or without records."""
        wait_until(lambda: self.error is not None or len(self.batches) >= count, f"{count} frames")
        assert self.error is None, self.error

    def wait_for_error(self) -> Exception:
        """Wait until the connection ends, and return why."""
        wait_until(lambda: self.error is not None, "the connection's end")
        assert self.error is not None
        return self.error

    def _run(self) -> None:
        self._task = self._loop.create_task(self._listen())
        self._loop.run_until_complete(asyncio.wait([self._task]))
        self._loop.run_until_complete(self._loop.shutdown_asyncgens())

    async def _listen(self) -> None:
        try:
            async for batch in self.adapter.records():
                self.batches.append(batch)
        except (OrderFlowError, OSError) as error:
            self.error = error

    def _cancel(self) -> None:
        if self._task is not None:
            self._task.cancel()
