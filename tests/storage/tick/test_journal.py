"""Between stored states a ticker's journal lists what was folded: any worker can repeat it."""

import json
import random
from collections.abc import Callable
from typing import Any

import pytest
import redis
from structlog.testing import capture_logs

from app.analysis.records import Quote, Trade
from app.core.settings import Settings
from app.storage.keys import Keys
from app.storage.settle_times import SettleTimes
from app.storage.tick.codec import decode_journal
from app.storage.tick.journal import MAX_AGE_MS
from app.storage.tick_store import TickStore
from app.storage.trimming import RecordTrimmer
from tests.broker import publish
from tests.builders import quote, second, stream, trade
from tests.storage.test_tick_store import TICKER, published
from tests.strategies import Flavour

STATE = f"orderflow:state:{TICKER}"
SECONDS = 90

Arrivals = list[tuple[float, Quote | Trade]]


def feed(seed: int, late_share: float) -> Arrivals:
    """Draw records with when they arrive: some up to 4 s late, some twice."""
    draw = random.Random(seed)  # noqa: S311 - a test's, not a secret's
    flavour = Flavour(seed, 700, 0.3, 0.8, 0.05, 0.0, 1.0, 0.4)
    arrivals: Arrivals = []
    for record in flavour.stream():
        is_late = draw.random() < late_share
        arrivals.append((record.stamp + (draw.uniform(0, 4000) if is_late else 0.0), record))
    return sorted(arrivals, key=lambda arrival: arrival[0])


def run(
    client: redis.Redis, arrivals: Arrivals, store_of: Callable[[int], TickStore]
) -> list[dict[str, Any]]:
    """Tick each second after what has arrived; returns what was published each time."""
    client.flushall()
    seen, place = [], 0
    for number in range(1, SECONDS):
        arrived = []
        while place < len(arrivals) and arrivals[place][0] <= second(number):
            arrived.append(arrivals[place][1])
            place += 1
        publish(client, TICKER, arrived)
        assert store_of(number).run_tick(TICKER, second(number)).outcome in {"written", "idle"}
        seen.append(published(client))
    return seen


@pytest.mark.parametrize("late_share", [0.0, 0.02, 0.3])
@pytest.mark.parametrize("seed", range(4))
def test_a_worker_that_comes_new_to_a_ticker_says_what_the_last_one_would_have(
    redis_client: redis.Redis,
    settings: Settings,
    seed: int,
    late_share: float,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # A settle time, which each worker measures by its own ticks, would have few records come late.
    monkeypatch.setattr(SettleTimes, "follow", lambda *_: None)
    arrivals = feed(seed, late_share)
    calm, draw = TickStore(settings), random.Random(seed)  # noqa: S311
    workers = [TickStore(settings), TickStore(settings)]

    def some_worker(_: int) -> TickStore:
        return TickStore(settings) if draw.random() < 0.4 else draw.choice(workers)

    undisturbed = run(redis_client, arrivals, lambda _: calm)

    assert run(redis_client, arrivals, some_worker) == undisturbed


def steady(seconds: int) -> list[Quote | Trade]:
    quotes = [quote(at=n / 5, bid_size=100 + n % 7) for n in range(seconds * 5)]
    return stream(*quotes, *(trade(at=n + 0.3) for n in range(seconds)))


def test_the_state_is_stored_whole_every_ten_seconds(
    redis_client: redis.Redis, settings: Settings
) -> None:
    publish(redis_client, TICKER, steady(40))
    store = TickStore(settings)
    blobs = []

    for number in range(1, 40):
        store.run_tick(TICKER, second(number))
        blobs.append(redis_client.hget(STATE, "blob"))
        journal = decode_journal(redis_client.hget(STATE, "journal"))
        assert journal is None or second(number) - journal.since < MAX_AGE_MS

    assert 4 <= len(set(blobs)) <= 5


def test_a_tick_that_saw_a_late_record_stores_the_state_whole(
    redis_client: redis.Redis, settings: Settings
) -> None:
    records = steady(20)
    late = next(record for record in records if record.stamp > second(12))
    publish(redis_client, TICKER, [record for record in records if record is not late])
    store = TickStore(settings)
    for number in range(1, 14):
        store.run_tick(TICKER, second(number))
    assert redis_client.hget(STATE, "journal")
    publish(redis_client, TICKER, [late])

    store.run_tick(TICKER, second(14))

    assert redis_client.hget(STATE, "journal") == b""


@pytest.mark.parametrize(
    ("gone", "known_to"),
    [((12, 13), 12), ((10.2, 11), 10), ((0, 13), None)],
    ids=["the last second", "a second between", "all"],
)
@pytest.mark.parametrize("kind", ["quotes", "trades"])
def test_records_that_are_gone_before_they_could_be_folded_again_cost_seconds_and_no_state(
    redis_client: redis.Redis,
    settings: Settings,
    kind: str,
    gone: tuple[float, float],
    known_to: float | None,
) -> None:
    publish(redis_client, TICKER, steady(20))
    store = TickStore(settings)
    for number in range(1, 14):
        store.run_tick(TICKER, second(number))
    journal = decode_journal(redis_client.hget(STATE, "journal"))
    assert journal is not None
    known_ms = journal.since if known_to is None else max(journal.since, second(known_to))
    scores = f"({second(gone[0])}", second(gone[1])
    assert redis_client.zremrangebyscore(f"orderflow:{kind}:{TICKER}", *scores) > 0
    bars_before = redis_client.xlen(f"orderflow:bars:{TICKER}")
    store = TickStore(settings)

    with capture_logs() as logs:
        outcomes = [store.run_tick(TICKER, second(n)).outcome for n in (14, 15, 16)]

    assert outcomes == ["written"] * 3
    assert [log["event"] for log in logs] == ["records of a journal are gone"]
    fields = redis_client.hgetall(f"orderflow:metrics:{TICKER}:1min")
    assert json.loads(fields[b"quality"]) == {"gaps": [[known_ms, second(13)]]}
    assert int(fields[b"quote_count"]) == 16 * 5 + 1
    assert redis_client.xlen(f"orderflow:bars:{TICKER}") == bars_before + 3
    assert not redis_client.keys("orderflow:bad:*")


def test_what_a_ticker_has_learned_outlives_its_records(
    redis_client: redis.Redis, settings: Settings
) -> None:
    """Workers and feed end together, and come back when the records have been trimmed."""
    records = steady(200)
    publish(redis_client, TICKER, records)
    store = TickStore(settings)
    for number in range(1, 195):
        store.run_tick(TICKER, second(number))
    assert redis_client.hget(STATE, "journal")
    redis_client.delete(f"orderflow:metrics:{TICKER}:10s")  # as expired
    trimmer = RecordTrimmer(redis_client, Keys(), settings)
    for _ in range(5):
        trimmer.trim_slice(second(86_400))
    assert not redis_client.keys("orderflow:quotes:*")
    publish(
        redis_client, TICKER, stream(*(quote(at=86_400 + n / 5, bid_size=7) for n in range(25)))
    )

    store = TickStore(settings)
    outcomes = [store.run_tick(TICKER, second(86_400 + n)).outcome for n in range(1, 5)]

    assert outcomes == ["written"] * 4
    engine = store._warm[TICKER].engine  # noqa: SLF001 - what the state has learned is in no key alone
    assert engine.state.first_quote is not None
    assert engine.state.first_quote.stamp == records[0].stamp
    assert engine.state.context.thresholds.depth is not None
    fields = redis_client.hgetall(f"orderflow:metrics:{TICKER}:10s")
    assert fields[b"quote_count"] == b"21"
    assert float(fields[b"covered_seconds"]) == 10
    assert "rebuilt_at" not in json.loads(fields[b"quality"])
