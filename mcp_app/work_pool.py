"""Run work in few threads, first come, first served; refuse at once what can't be done in time.

anyio's threads are no bound: it counts a thread whose caller gave up as free while it still runs.
"""

import asyncio
import contextvars
import math
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from typing import TypeVar

MAX_PENDING = 256
# Of the time that the caller has, so that the estimate may err.
_USED_SHARE = 0.75
_NEWEST_SHARE = 0.2

_Result = TypeVar("_Result")


class Busy(Exception):
    """There is more to do than can be done in the time that the caller has."""

    def __init__(self, wait_seconds: int) -> None:
        super().__init__(f"busy with earlier questions; try again in {wait_seconds} s")
        self.wait_seconds = wait_seconds


class WorkPool:
    """Some threads, and an estimate of how long the work that waits for them will take."""

    def __init__(self, name: str, threads: int, usual_seconds: float) -> None:
        self._executor = ThreadPoolExecutor(threads, thread_name_prefix=name)
        self._threads = threads
        self._mean_seconds = usual_seconds
        self._pending = 0
        self._lock = threading.Lock()

    def submit(self, work: Callable[[], _Result], within_seconds: float) -> Future[_Result]:
        """Begin work as soon as a thread is free; `cancel` keeps what has not begun from beginning.

        Raises `Busy` if it would not be done in time.
        """
        with self._lock:
            seconds = (self._pending + 1) * self._mean_seconds / self._threads
            is_late = seconds > within_seconds * _USED_SHARE or self._pending >= MAX_PENDING
            if self._pending >= self._threads and is_late:
                raise Busy(max(1, math.ceil(seconds)))
            self._pending += 1
        context, submitted_at = contextvars.copy_context(), time.monotonic()

        def begin() -> _Result:
            self._check_in_time(time.monotonic() - submitted_at, within_seconds)
            return context.run(self._timed, work)

        future = self._executor.submit(begin)
        future.add_done_callback(self._count_done)
        return future

    async def run(self, work: Callable[[], _Result], within_seconds: float) -> _Result:
        """Return the result of work; raise `Busy` as `submit` does."""
        future = self.submit(work, within_seconds)
        try:
            return await result_of(future)
        finally:
            future.cancel()

    def _check_in_time(self, waited_seconds: float, within_seconds: float) -> None:
        """Raise `Busy` where work waited so long that it would be done too late.

        Without this, a pool that fell behind would be late with all that it does.
        """
        seconds = self._mean_seconds
        has_waited = waited_seconds > within_seconds * (1 - _USED_SHARE)
        if has_waited and waited_seconds + seconds > within_seconds:
            raise Busy(max(1, math.ceil(seconds)))

    def _timed(self, work: Callable[[], _Result]) -> _Result:
        began = time.monotonic()
        try:
            return work()
        finally:
            took = time.monotonic() - began
            with self._lock:
                self._mean_seconds += _NEWEST_SHARE * (took - self._mean_seconds)

    def _count_done(self, _: "Future[_Result]") -> None:
        with self._lock:
            self._pending -= 1


async def result_of(future: Future[_Result]) -> _Result:
    """Wait for the result of work; giving up does not end the work, since others may wait, too."""
    loop, done = asyncio.get_running_loop(), asyncio.Event()

    def tell(_: Future[_Result]) -> None:
        # The loop may have ended before the work.
        with suppress(RuntimeError):
            loop.call_soon_threadsafe(done.set)

    future.add_done_callback(tell)
    await done.wait()
    return future.result()
