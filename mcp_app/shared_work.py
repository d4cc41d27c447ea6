"""Do equal work once for all who ask for it while it runs, and where wished in the same period."""

import time
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Generic, TypeVar

from mcp_app.work_pool import WorkPool, result_of

_Result = TypeVar("_Result")


@dataclass(slots=True)
class _Shared(Generic[_Result]):
    future: Future[_Result]
    period: int
    waiting: int = 0


def clock_second() -> int:
    """Return the number of the current second."""
    return int(time.time())


class SharedWork(Generic[_Result]):
    """Work in a pool by keys: equal keys share a result, and it ends when nobody waits for it.

    With `for_a_second` a result is good as long as `period` returns the same number: of the clock's
    seconds, or of others.
    """

    def __init__(
        self, pool: WorkPool, *, for_a_second: bool, period: Callable[[], int] = clock_second
    ) -> None:
        self._pool = pool
        self._for_a_second = for_a_second
        self._period = period
        self._shared: dict[Hashable, _Shared[_Result]] = {}

    async def run(
        self, key: Hashable | None, work: Callable[[], _Result], within_seconds: float
    ) -> _Result:
        """Return the result of work, or of equal work; None as key equals nothing.

        Raises `Busy`, and what the work raises.
        """
        self._forget_old()
        shared = None if key is None else self._shared.get(key)
        if shared is None:
            shared = _Shared(self._pool.submit(work, within_seconds), self._period())
            if key is not None:
                self._shared[key] = shared
        shared.waiting += 1
        try:
            return await result_of(shared.future)
        finally:
            shared.waiting -= 1
            if not shared.waiting and not shared.future.done():
                # What runs can't be stopped: it holds its thread until it ends by itself.
                shared.future.cancel()

    def _forget_old(self) -> None:
        """Forget results, but those that are good for the period that they were asked for in."""
        period = self._period() if self._for_a_second else None
        self._shared = {
            key: one
            for key, one in self._shared.items()
            if not one.future.done() or (one.period == period and _is_good(one.future))
        }


def _is_good(future: Future[_Result]) -> bool:
    return not future.cancelled() and future.exception() is None
