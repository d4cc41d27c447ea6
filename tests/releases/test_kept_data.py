"""What an earlier release stored in Redis is read by this version, and goes on as it would have."""

import json
import math
from typing import Any

import pytest
import redis

from app.answers.ask import ask
from app.answers.reader import Reader
from app.core import clock
from app.core.settings import Settings
from app.storage.keys import HEARTBEAT, TICKERS
from app.storage.tick_store import TickStore
from tests.releases import kept_data
from tests.releases.kept_data import AS_OF, AS_OF_AFTER, SECONDS_AFTER, TICKER, Kept

REGENERATE = "before the release: python -m tests.releases; after it: read the form of the release"
WINDOW_SECONDS = 300


@pytest.fixture(params=kept_data.releases())
def kept(request: pytest.FixtureRequest, redis_client: redis.Redis) -> Kept:
    """Give what is kept of a release, which is in Redis."""
    found = kept_data.load(request.param)
    kept_data.restore(redis_client, found)
    return found


def differences(now: Any, then: Any, path: str = "") -> list[str]:
    """List where values differ; a version may add fields, and may change a number's last digit."""
    if isinstance(now, dict) and isinstance(then, dict):
        missing = [f"{path}.{name} is gone" for name in then.keys() - now.keys()]
        both = [name for name in then if name in now]
        return missing + [d for n in both for d in differences(now[n], then[n], f"{path}.{n}")]
    if isinstance(now, list) and isinstance(then, list) and len(now) == len(then):
        pairs = enumerate(zip(now, then, strict=True))
        return [d for n, (a, b) in pairs for d in differences(a, b, f"{path}[{n}]")]
    numbers = isinstance(now, int | float) and isinstance(then, int | float)
    is_same = math.isclose(now, then, rel_tol=1e-9, abs_tol=1e-9) if numbers else now == then
    return [] if is_same else [f"{path}: {now} where it was {then}"]


def test_something_is_kept() -> None:
    assert kept_data.releases()


def test_a_state_of_the_release_goes_on_as_it_would_have(
    redis_client: redis.Redis, settings: Settings, kept: Kept
) -> None:
    kept_data.add_later_records(redis_client, kept)

    assert kept_data.tick_on(TickStore(settings)) == ["written"] * SECONDS_AFTER, REGENERATE

    assert not redis_client.keys("orderflow:bad:*"), REGENERATE
    now = kept_data.published(redis_client)
    assert now["5min"]["as_of"] == AS_OF_AFTER
    assert "rebuilt_at" not in now["5min"]["quality"]
    assert not differences(now, kept["published_later"])


def test_its_records_bars_events_and_results_are_answered_from(
    redis_client: redis.Redis, reader: Reader, kept: Kept, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clock, "now_ms", lambda: AS_OF + 300.0)
    redis_client.hset(HEARTBEAT, mapping={"fanout": AS_OF, "tick": AS_OF})
    redis_client.zadd(TICKERS, {TICKER: AS_OF})
    window = kept["keys"][f"orderflow:metrics:{TICKER}:5min"][1]
    events = kept["keys"][f"orderflow:patterns:{TICKER}"][1]

    found = reader.snapshot(TICKER, WINDOW_SECONDS)
    earlier = reader.snapshot(TICKER, WINDOW_SECONDS, at_ms=AS_OF - 10_000)

    assert found.as_of_ms == AS_OF
    for name in ("quote_count", "ofi", "trade_count", "vwap", "spread_bps"):
        assert math.isclose(float(found.metrics[name]), float(window[name]), rel_tol=1e-9)
    assert {event.id for event in found.events or ()} <= {json.loads(e)["id"] for e, _ in events}
    assert found.events
    assert found.levels
    # From the bars alone.
    assert earlier.as_of_ms == AS_OF - 10_000
    assert earlier.metrics["quote_count"] > 0
    records = reader.records(TICKER, AS_OF - 10_000, AS_OF)
    assert records.records
    text = ask(reader, TICKER).reply.text
    assert text.startswith(f"{TICKER}: ")
    assert "STALE" not in text
