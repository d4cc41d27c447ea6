"""Work in bounded threads: served in order, refused in time, never begun for nobody."""

import asyncio
import threading
from collections.abc import Callable

import pytest

from mcp_app import work_pool
from mcp_app.shared_work import SharedWork
from mcp_app.work_pool import Busy, WorkPool
from tests.processes import BOUND_SECONDS, wait_until


class Work:
    """Work that lasts until it is let go, and counts how often it began."""

    def __init__(self) -> None:
        self.begun = 0
        self.may_end = threading.Event()

    def __call__(self) -> int:
        """Wait; return how often it began."""
        self.begun += 1
        assert self.may_end.wait(BOUND_SECONDS)
        return self.begun


class StoppedTime:
    """The time of the pools, which goes on only where a test says so."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def monotonic(self) -> float:
        """Return the time in seconds."""
        return self.seconds

    def go_on(self, seconds: float) -> None:
        """Let so much time pass."""
        self.seconds += seconds


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> StoppedTime:
    """Stop the pools' time: a busy machine is not to count as work that takes long."""
    stopped = StoppedTime()
    monkeypatch.setattr(work_pool, "time", stopped)
    return stopped


def pool_of(threads: int, seconds: float = 0.1) -> WorkPool:
    return WorkPool("test", threads, seconds)


async def until(condition: Callable[[], bool]) -> None:
    await asyncio.to_thread(wait_until, condition, "what is tested")


def test_what_would_not_be_done_in_time_is_refused_at_once_with_when_to_come_back() -> None:
    async def session() -> tuple[int, list[str]]:
        pool, work = pool_of(1, seconds=1.0), Work()
        asked = [asyncio.create_task(pool.run(work, within_seconds=4.0)) for _ in range(10)]
        await until(lambda: sum(one.done() for one in asked) == 7)
        refused = [str(one.exception()) for one in asked if one.done()]
        work.may_end.set()
        served = await asyncio.gather(*asked[:3])
        return len(served), refused

    served, refused = asyncio.run(session())

    assert served == 3
    assert set(refused) == {"busy with earlier questions; try again in 4 s"}


def test_work_that_is_given_up_before_it_begins_never_begins() -> None:
    async def session() -> list[int]:
        pool, first, others = pool_of(1), Work(), [Work() for _ in range(5)]
        running = asyncio.create_task(pool.run(first, 60.0))
        await until(lambda: first.begun == 1)
        waiting = [asyncio.create_task(pool.run(one, 60.0)) for one in others]
        await asyncio.sleep(0)
        for one in waiting:
            one.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
        first.may_end.set()
        await running
        last = Work()
        last.may_end.set()
        await pool.run(last, 60.0)
        return [one.begun for one in others]

    assert asyncio.run(session()) == [0] * 5


def test_threads_stay_bounded_while_callers_give_up_on_work_that_runs() -> None:
    async def session() -> list[int]:
        pool, works = pool_of(2, seconds=0.001), [Work() for _ in range(20)]
        for work in works[:2]:
            caller = asyncio.create_task(pool.run(work, 60.0))
            await until(lambda work=work: work.begun == 1)
            caller.cancel()
        for work in works[2:]:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.02):
                    await pool.run(work, 60.0)
        begun = [work.begun for work in works]
        for work in works:
            work.may_end.set()
        return begun

    assert sum(asyncio.run(session())) == 2


def test_slow_work_is_estimated_from_what_work_took_lately(clock: StoppedTime) -> None:
    async def session() -> None:
        pool, running, refused = pool_of(1, seconds=0.001), Work(), Work()
        for _ in range(20):
            await pool.run(lambda: clock.go_on(0.02), 60.0)
        first = asyncio.create_task(pool.run(running, 0.01))
        await until(lambda: running.begun == 1)
        with pytest.raises(Busy):
            await pool.run(refused, 0.01)
        running.may_end.set()
        assert await first == 1
        assert refused.begun == 0

    asyncio.run(session())


def test_work_that_waited_too_long_to_be_done_in_time_is_not_begun(clock: StoppedTime) -> None:
    async def session() -> tuple[str, int, int]:
        pool, first, late, fresh = pool_of(1, seconds=0.001), Work(), Work(), Work()
        running = asyncio.create_task(pool.run(first, 1.0))
        await until(lambda: first.begun == 1)
        waiting = asyncio.create_task(pool.run(late, 1.0))
        await asyncio.sleep(0)
        clock.go_on(0.95)
        first.may_end.set()
        await running
        with pytest.raises(Busy) as refused:
            await waiting
        fresh.may_end.set()
        # The first took longer than all the time that there is now; the pool is idle, though.
        return str(refused.value), late.begun, await pool.run(fresh, 0.01)

    text, late, fresh = asyncio.run(session())

    assert "try again in 1 s" in text
    assert (late, fresh) == (0, 1)


def test_equal_questions_that_run_at_once_are_answered_once() -> None:
    async def session() -> tuple[list[int], int]:
        shared: SharedWork[int] = SharedWork(pool_of(4), for_a_second=False)
        work, other = Work(), Work()
        other.may_end.set()
        asked = [asyncio.create_task(shared.run("a", work, 60.0)) for _ in range(100)]
        await shared.run("b", other, 60.0)
        # Some of them give up, which is no reason to stop for the others.
        for one in asked[:50]:
            one.cancel()
        await until(lambda: work.begun == 1)
        work.may_end.set()
        return await asyncio.gather(*asked[50:]), other.begun

    assert asyncio.run(session()) == ([1] * 50, 1)


@pytest.mark.parametrize("for_a_second", [True, False])
def test_an_answer_is_good_for_its_second_where_that_is_wished(for_a_second: bool) -> None:  # noqa: FBT001
    async def session() -> list[int]:
        second = [1_700_000_000]
        shared: SharedWork[int] = SharedWork(
            pool_of(1), for_a_second=for_a_second, period=lambda: second[0]
        )
        work = Work()
        work.may_end.set()
        in_second = [await shared.run("a", work, 60.0) for _ in range(3)]
        second[0] += 1
        return [*in_second, await shared.run("a", work, 60.0)]

    assert asyncio.run(session()) == ([1, 1, 1, 2] if for_a_second else [1, 2, 3, 4])


def test_what_failed_is_tried_again() -> None:
    async def session() -> int:
        shared: SharedWork[int] = SharedWork(pool_of(1), for_a_second=True)
        with pytest.raises(ZeroDivisionError):
            await shared.run("a", lambda: 1 // 0, 60.0)
        return await shared.run("a", lambda: 7, 60.0)

    assert asyncio.run(session()) == 7


def test_questions_that_equal_nothing_are_answered_each() -> None:
    async def session() -> list[int]:
        shared: SharedWork[int] = SharedWork(pool_of(1), for_a_second=True)
        work = Work()
        work.may_end.set()
        return [await shared.run(None, work, 60.0) for _ in range(3)]

    assert asyncio.run(session()) == [1, 2, 3]
