"""`orderflow feed live --record`: the tapes hold what is published, with the declared gaps."""

import json
from pathlib import Path
from typing import cast

import pytest
import redis

from app.analysis.record_parser import parse_batch
from app.analysis.records import Record
from app.feeds.tape import read_tape
from tests.processes import Start, wait_until
from tests.system.recorded_ticks import TickSampler, analysed, differences
from tests.venues.kraken import KrakenVenue

pytestmark = pytest.mark.system


def published(client: redis.Redis) -> list[Record]:
    """Return what is in Redis, as the analysis reads it."""
    quotes, trades = (
        cast(
            "list[tuple[bytes, float]]",
            client.zrange(f"orderflow:{kind}:BTC/USD", 0, -1, withscores=True),
        )
        for kind in ("quotes", "trades")
    )
    batch = parse_batch(quotes, trades)
    assert not batch.faults
    return batch.records


def recorded(folder: Path) -> list[Record]:
    """Return what is on tape; a run over midnight (UTC) has two files a kind."""
    found: list[Record] = []
    for quotes in sorted(folder.glob("BTC%2FUSD_*.quotes.csv.gz")):
        trades = quotes.with_name(quotes.name.replace(".quotes.", ".trades."))
        tape = read_tape(quotes, trades if trades.exists() else None)
        assert not tape.faults
        found += tape.records
    return found


def test_a_live_feeds_tape_holds_what_it_published_with_its_gaps(
    redis_client: redis.Redis, start: Start, tmp_path: Path
) -> None:
    folder = tmp_path / "tapes"
    with KrakenVenue("BTC/USD", "ETH/USD") as venue:
        asked = ("app", "feed", "live", "kraken:btc-usd", "--record", str(folder))
        feed = start(*asked, ORDERFLOW_FEED_URL=venue.url)
        venue.wait_subscribed("BTC/USD")
        venue.burst(5000)
        wait_until(lambda: len(published(redis_client)) >= 2500, "the first records")
        venue.kill_connections()
        wait_until(lambda: venue.connection_count == 2, "a new connection")
        venue.wait_subscribed("BTC/USD")
        before = len(published(redis_client))
        venue.burst(100)
        wait_until(lambda: len(published(redis_client)) >= before + 50, "more records")
        assert feed.end() == 0
        again = start(*asked, ORDERFLOW_FEED_URL=venue.url)
        wait_until(lambda: venue.connection_count == 3, "the feed again")
        venue.wait_subscribed("BTC/USD")
        before = len(published(redis_client))
        venue.burst(20)
        wait_until(lambda: len(published(redis_client)) >= before + 10, "the last records")
        assert again.end() == 0

    assert recorded(folder) == published(redis_client)
    gaps = [row for path in folder.glob("*.gaps.csv") for row in path.read_text().split()[1:]]
    reasons = [row.split(",")[2] for row in gaps]
    assert reasons[0] == "disconnected"
    assert set(reasons[1:]) == {"resumed"}


def test_a_live_feeds_tape_gives_byte_for_byte_what_the_ticks_published(
    redis_client: redis.Redis, start: Start, tmp_path: Path
) -> None:
    """Also over a burst and a connection that is cut, which declares a gap."""
    folder = tmp_path / "tapes"
    # On a busy machine records may take long from the venue to Redis: no tick is to miss them.
    patient = {"ORDERFLOW_SETTLE_MS": "900"}
    worker = start("celery", "-A", "tasks", "worker", "-P", "solo", "--without-mingle", **patient)
    beat = start("celery", "-A", "tasks", "beat", **patient)
    wait_until(lambda: " ready." in worker.said(), "the worker is ready")
    sampler = TickSampler(redis_client, "BTC/USD")
    with KrakenVenue("BTC/USD", "ETH/USD") as venue:
        venue.rate = 100.0
        asked = ("app", "feed", "live", "kraken:BTC/USD,ETH/USD", "--record", str(folder))
        feed = start(*asked, ORDERFLOW_FEED_URL=venue.url)
        wait_until(lambda: sampler.count() >= 4, "the first ticks")
        venue.burst(300)
        wait_until(lambda: sampler.count() >= 8, "ticks after the burst")
        venue.kill_connections()
        wait_until(lambda: redis_client.exists("orderflow:gaps:BTC/USD") == 1, "a declared gap")
        seen = sampler.count()
        wait_until(lambda: sampler.count() >= seen + 8, "ticks after the gap")
        beat.end()
        worker.end()
        sampler.count()
        assert feed.end() == 0

    if len([*folder.glob("BTC*.trades.csv.gz")]) > 1:
        pytest.skip("the day ended during the run: the tape has a part for each day")
    if late := sampler.late_ticks:
        pytest.skip(f"the machine was too busy: records came over 900 ms late, from {late[0]} on")
    last = max(sampler.seen)
    windows, events = analysed(folder, "BTC/USD", last)
    assert differences(sampler.seen, windows) == []
    assert json.loads(sampler.seen[last]["5min"]["quality"])["gaps"]
    stored = [one.decode() for one in redis_client.zrange("orderflow:patterns:BTC/USD", 0, -1)]
    assert sorted(stored) == sorted(events[json.loads(one)["id"]] for one in stored)
