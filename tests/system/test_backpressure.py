"""With twice the load that a worker holds ticks are skipped, not queued, and all tickers alike."""

import json
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Sequence

import pytest
import redis

from tests.processes import BOUND_SECONDS, ROOT, Environment, Start, wait_until
from tests.system.names import LOAD, TICK_SECONDS
from tests.timing import AssertWithin

pytestmark = [pytest.mark.system, pytest.mark.usefixtures("mode")]

WORKER = ("celery", "-A", "tests.system.slow_tasks", "worker", "-P", "solo", "--without-mingle")
HELD_A_SECOND = int(1 / TICK_SECONDS)
TICKERS = [f"T{number:03}" for number in range(2 * HELD_A_SECOND)]
OVERLOAD_SECONDS = 12.0
LONGEST_AGE_SECONDS = 6.0
FEWEST_TICKS = 4
ROUNDS = 2.0
USUAL_AGE_SECONDS = 2.5
BACK_WITHIN_SECONDS = 5.0


def quotes_of(tickers: Sequence[str]) -> list[str]:
    return [f"orderflow:quotes:{ticker}" for ticker in tickers]


def add_quote(client: redis.Redis, key: str) -> None:
    now_ms = int(time.time() * 1000)
    quote = {"timestamp": now_ms, "bid_price": 10, "bid_size": 3, "ask_price": 11, "ask_size": 4}
    client.zadd(key, {json.dumps(quote): now_ms})


def ticked(client: redis.Redis, tickers: Sequence[str]) -> dict[str, int]:
    """Return the published tick of each ticker that has one."""
    pipe = client.pipeline(transaction=False)
    for ticker in tickers:
        pipe.hget(f"orderflow:metrics:{ticker}:10s", "as_of")
    found = zip(tickers, pipe.execute(), strict=True)
    return {ticker: int(as_of) for ticker, as_of in found if as_of is not None}


def done(client: redis.Redis) -> int:
    return int(client.hget("orderflow:counters", "ticks_done") or 0)


def oldest_seconds(client: redis.Redis, tickers: Sequence[str]) -> float:
    """Return the age of the oldest tick, infinite where a ticker has none."""
    as_of = ticked(client, tickers)
    if len(as_of) < len(tickers):
        return float("inf")
    return time.time() - min(as_of.values()) / 1000


def asked(ticker: str, environment: Environment) -> dict[str, object]:
    command = [sys.executable, "-m", "app", "ask", ticker, "--json"]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, check=True)
    answer: dict[str, object] = json.loads(done.stdout)
    return answer


def test_overload_skips_ticks_of_all_tickers_alike_and_passes_within_five_seconds(
    redis_client: redis.Redis,
    start: Start,
    environment: Environment,
    assert_within: AssertWithin,
) -> None:
    worker = start(*WORKER, ORDERFLOW_SHARDS="1")
    start("celery", "-A", "tasks", "beat", ORDERFLOW_SHARDS="1")
    wait_until(lambda: " ready." in worker.said(), "the worker is ready")
    for key in quotes_of(TICKERS):
        add_quote(redis_client, key)
    # Under the load, tickers that are new would wait a minute for those that are not.
    wait_until(lambda: len(ticked(redis_client, TICKERS)) == len(TICKERS), "all had a tick")
    redis_client.set(LOAD, 1)

    ticks: dict[str, set[int]] = defaultdict(set)
    ages, waiting = [], []
    done_before = done(redis_client)
    began = time.monotonic()

    def is_over() -> bool:
        """Tell whether there were several rounds: on a busy machine each takes longer."""
        has_lasted = time.monotonic() - began > OVERLOAD_SECONDS
        return has_lasted and min(map(len, ticks.values())) >= FEWEST_TICKS

    while not is_over():
        assert time.monotonic() - began < BOUND_SECONDS, "several rounds of all tickers"
        ages.append(oldest_seconds(redis_client, TICKERS))
        waiting.append(int(redis_client.llen("ticks.0")))
        for ticker, as_of in ticked(redis_client, TICKERS).items():
            ticks[ticker].add(as_of)

    assert max(waiting) <= len(TICKERS)
    assert int(redis_client.hget("orderflow:counters", "ticks_skipped") or 0) > HELD_A_SECOND
    # On a busy machine a worker holds less, and a round of all tickers takes longer.
    lasted_seconds = time.monotonic() - began
    round_seconds = len(TICKERS) * lasted_seconds / (done(redis_client) - done_before)
    assert_within(max(LONGEST_AGE_SECONDS, ROUNDS * round_seconds), max(ages))
    counts = sorted(len(seen) for seen in ticks.values())
    assert counts[-1] <= 2 * counts[0], "some tickers had far more ticks than others"
    answer = asked(TICKERS[-1], environment)
    assert float(str(answer["age_seconds"])) >= 0

    redis_client.delete(LOAD)
    back_after_seconds = wait_until(
        lambda: (
            oldest_seconds(redis_client, TICKERS) < USUAL_AGE_SECONDS
            and redis_client.llen("ticks.0") == 0
        ),
        "every ticker is ticked each second again, and nothing waits",
    )
    assert_within(BACK_WITHIN_SECONDS, back_after_seconds)
