"""What no tick can use is bounded, named and counted by a running system."""

import json
import subprocess
import sys
import time
from collections.abc import Iterable
from typing import Any

import pytest
import redis

from app.answers.reader import Reader
from app.core.settings import Settings
from app.operations.prometheus import AnalysisCollector
from app.operations.status import HealthInspector
from tests.processes import BOUND_SECONDS, ROOT, Environment, Start, wait_until

pytestmark = pytest.mark.system

BEAT = ("celery", "-A", "tasks", "beat")
WORKER = ("celery", "-A", "tasks", "worker", "-P", "solo", "--without-mingle")
# Long enough that what is to stay meanwhile does, on a busy machine, too.
RETENTION_SECONDS = 200
LIMITS = {
    "ORDERFLOW_MAX_RECORDS": "1000",
    "ORDERFLOW_RETENTION_SECONDS": str(RETENTION_SECONDS),
}
MOST = 1000
QUOTE = '{"bid_price":%s,"bid_size":5,"ask_price":%s,"ask_size":5,"seq":%d}'
REFUSED = '{"bid_price":null,"bid_size":5,"ask_price":11,"ask_size":5,"seq":%d}'


def now_ms() -> float:
    return time.time() * 1000


def add(client: redis.Redis, key: str, scores: Iterable[float], form: str = REFUSED) -> None:
    client.zadd(f"orderflow:{key}", {form % number: score for number, score in enumerate(scores)})


def ages(newest_seconds: float, oldest_seconds: float, number: int) -> list[float]:
    step = (oldest_seconds - newest_seconds) / number
    return [now_ms() - (oldest_seconds - step * n) * 1000 for n in range(number)]


def said_by(environment: Environment, *arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "app", *arguments],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        check=False,
        text=True,
        timeout=BOUND_SECONDS,
    )


def status(environment: Environment) -> Any:
    return json.loads(said_by(environment, "status", "--json").stdout)


def test_every_key_of_records_is_bounded_whatever_it_holds(
    redis_client: redis.Redis, start: Start, environment: Environment
) -> None:
    fine = QUOTE % (10, 11, 0)
    fine = fine.replace('"seq":0', '"seq":%d')
    add(redis_client, "quotes:REFUSED", ages(0, 50, 5000))
    nearly_past = ages(RETENTION_SECONDS - 10, RETENTION_SECONDS - 2, 300)
    add(redis_client, "quotes:OPTION", nearly_past, fine)
    add(redis_client, "quotes:EXPIRED", ages(350, 900, 3000), fine)
    add(redis_client, "quotes:IDLE", ages(350, 900, 3000))
    add(redis_client, "trades:LONE", ages(0, 50, 5000))
    add(redis_client, "trades:LONE.OLD", ages(350, 900, 5000))
    add(redis_client, "quotes:AHEAD", [ms + 1e6 for ms in ages(0, 50, 5000)], fine)
    add(redis_client, "quotes:S", [ms / 1e3 for ms in ages(0, 50, 5000)], fine)
    add(redis_client, "quotes:US", [ms * 1e3 for ms in ages(0, 50, 5000)], fine)
    add(redis_client, "trades:NS", [ms * 1e6 for ms in ages(0, 50, 5000)], fine)
    add(redis_client, "quotes:US.OLD", [ms * 1e3 for ms in ages(350, 900, 5000)], fine)
    add(redis_client, "quotes:NEVER", [float(n) for n in range(5000)], fine)
    add(redis_client, "quotes:no ticker", ages(350, 900, 5000), fine)
    start(*WORKER, **LIMITS)
    start(*BEAT)

    def sizes() -> dict[str, int]:
        found = redis_client.keys("orderflow:quotes:*") + redis_client.keys("orderflow:trades:*")
        return {key.decode().split(":", 1)[1]: redis_client.zcard(key) for key in found}

    def are_bounded() -> bool:
        return all(size <= MOST for key, size in sizes().items() if key != "quotes:no ticker")

    wait_until(are_bounded, "every key holds at most a thousand records")
    said = {name: said_by(environment, "ask", name).stderr for name in ("S", "US", "NS")}
    named = status(environment)
    assert sizes().keys() >= {"quotes:S", "quotes:US", "trades:NS", "quotes:REFUSED"}
    gone = {"quotes:OPTION", "quotes:EXPIRED", "quotes:IDLE", "trades:LONE.OLD", "quotes:US.OLD"}
    wait_until(lambda: not gone & sizes().keys(), "what is past the retention is gone")

    assert sizes()["quotes:no ticker"] == 5000
    assert "its quotes are scored in seconds, not milliseconds" in said["S"]
    assert "its quotes are scored in microseconds, not milliseconds" in said["US"]
    assert "its trades are scored in nanoseconds, not milliseconds" in said["NS"]
    assert named["seconds_not_ms"] == ["orderflow:quotes:S"]
    assert named["not_ms"] == {
        "orderflow:quotes:US": "microseconds",
        "orderflow:trades:NS": "nanoseconds",
    }

    def totals() -> tuple[int, int]:
        counters = status(environment)["counters"]
        return counters.get("records_seconds_not_ms", 0), counters.get("records_not_ms", 0)

    wait_until(lambda: totals() == (10_000, 15_000), "each is counted once")


def test_totals_count_the_late_records_that_answers_count(
    redis_client: redis.Redis, start: Start, reader: Reader, settings: Settings
) -> None:
    start(*WORKER)
    start(*BEAT)
    seq = 0

    def add_one(ticker: str, seconds_late: float = 0) -> None:
        nonlocal seq
        seq += 1
        member = QUOTE % (10 + seq % 3 / 100, 11, seq)
        redis_client.zadd(f"orderflow:quotes:{ticker}", {member: now_ms() - seconds_late * 1000})

    def covers(seconds: float) -> bool:
        for ticker in "AB":
            add_one(ticker)
        found = [redis_client.hget(f"orderflow:metrics:{t}:1min", "covered_seconds") for t in "AB"]
        return all(float(covered or 0) >= seconds for covered in found)

    wait_until(lambda: covers(12), "twelve seconds of both tickers")
    for ticker, seconds_late in (("A", 8), ("B", 1.5)):
        for _ in range(50):
            add_one(ticker, seconds_late)

    def totals() -> tuple[float, float]:
        families = AnalysisCollector(redis_client, settings).collect()
        samples = [sample for family in families for sample in family.samples]
        [metric] = [
            sample.value
            for sample in samples
            if (sample.name, sample.labels) == ("orderflow_records_total", {"kind": "late"})
        ]
        counters = HealthInspector(redis_client, settings).status().counters
        return counters.get("records_late", 0), metric

    def are_equal() -> bool:
        add_one("A")
        add_one("B")
        late_a, late_b = (reader.snapshot(t, 300).quality.counts.get("late", 0) for t in "AB")
        return late_a >= 50 and late_b > 0 and totals() == (late_a + late_b,) * 2

    wait_until(are_equal, "the totals are the sum of what the answers count")
