"""Workers of different versions on one ticker: nothing is misread, fought over or silently lost."""

import json
import time

import pytest
import redis

from app.analysis.state import ENGINE
from app.answers.ask import ask
from app.answers.reader import Reader
from app.core import clock
from app.core.settings import Settings
from app.operations.status import HealthInspector, as_text
from app.storage.newer_states import ABANDONED_MS
from app.storage.tick import codec, state_packing
from app.storage.tick_store import OUTDATED, TickStore
from tasks import ticks
from tests.broker import publish
from tests.builders import second
from tests.key_writer import KeyWriter
from tests.storage.test_takeover import STATE, steady, ticked
from tests.storage.test_tick_store import TICKER, published

pytestmark = pytest.mark.redis

FABRICATED = 0x12345678
ASIDE = f"orderflow:bad:state:{TICKER}"
# Raise LAYOUT_NUMBER with each change of what is packed, and write its fingerprint down here.
FINGERPRINTS = {
    1: 0xFDF750AE,
    2: 0xE6A81DFB,
    3: 0x8B5D5CFD,
    4: 0xFB7BBDBD,
    5: 0x5376FB28,
    6: 0x1131BEA8,
}


def test_a_change_of_the_layout_gets_a_number() -> None:
    number = state_packing.LAYOUT_NUMBER

    assert number == max(FINGERPRINTS)
    assert FINGERPRINTS[number] == state_packing._LAYOUT  # noqa: SLF001


def test_the_versions_of_states_can_be_compared() -> None:
    assert ENGINE.isdecimal()
    assert f"{ENGINE}.{state_packing.LAYOUT_NUMBER}" == codec.STATE_VERSION


def rewrite(client: redis.Redis, written_by: str) -> None:
    """Make a state one that another version packed: another layout, and its version."""
    blob = client.hget(STATE, "blob")
    assert blob is not None
    body = blob[4:]
    mark = state_packing._checksum(body, FABRICATED)  # noqa: SLF001
    client.hset(STATE, mapping={"engine": written_by, "blob": mark + body})


def rebuilt_at(client: redis.Redis) -> int | None:
    quality = client.hget(f"orderflow:metrics:{TICKER}:5min", "quality")
    found: int | None = json.loads(quality or b"{}").get("rebuilt_at")
    return found


NEWER = [f"{ENGINE}.{state_packing.LAYOUT_NUMBER + 1}", f"{int(ENGINE) + 1}", "999.0.1"]
OLDER = [ENGINE, f"{ENGINE}.0", codec.STATE_VERSION, "0", f"0.{10**6}"]


@pytest.mark.parametrize("written_by", NEWER)
def test_old_and_new_workers_on_one_ticker_fight_over_nothing(
    redis_client: redis.Redis, settings: Settings, written_by: str
) -> None:
    publish(redis_client, TICKER, steady(0, 60))
    alone = TickStore(settings)
    ticked(alone, *range(1, 61, 2))
    calm = published(redis_client)
    redis_client.delete(*redis_client.keys("orderflow:[^qt]*"))
    newer, older = TickStore(settings), TickStore(settings)
    outcomes = []

    for number in range(1, 61, 2):
        assert ticked(newer, number) == ["written"]
        rewrite(redis_client, written_by)
        outcomes += ticked(older, number + 1)

    assert outcomes == [OUTDATED] * 30
    assert published(redis_client) == calm
    assert not redis_client.exists(ASIDE)


@pytest.mark.parametrize("written_by", NEWER)
def test_a_newer_state_that_nobody_renews_is_rebuilt_once_and_said(
    redis_client: redis.Redis, settings: Settings, written_by: str
) -> None:
    publish(redis_client, TICKER, steady(0, 200))
    ticked(TickStore(settings), *range(1, 101))
    rewrite(redis_client, written_by)
    older = TickStore(settings)
    patience = ABANDONED_MS // 1000 + 3

    assert ticked(older, *range(101, 101 + patience)) == [OUTDATED] * patience
    assert ticked(older, *range(134, 150)) == ["overtaken"] + ["written"] * 15
    assert rebuilt_at(redis_client) == second(135)
    assert redis_client.exists(ASIDE)
    windows = published(redis_client)
    redis_client.delete(*redis_client.keys("orderflow:[^qt]*"))
    ticked(TickStore(settings), *range(1, 150))
    undisturbed = published(redis_client)
    assert windows["1min"][b"ofi"] == undisturbed["1min"][b"ofi"]
    assert windows["5min"][b"quote_count"] == undisturbed["5min"][b"quote_count"]


@pytest.mark.parametrize("written_by", OLDER)
def test_a_state_of_an_unknown_older_layout_is_rebuilt_and_said(
    redis_client: redis.Redis, settings: Settings, written_by: str
) -> None:
    publish(redis_client, TICKER, steady(0, 60))
    ticked(TickStore(settings), *range(1, 41))
    rewrite(redis_client, written_by)

    assert ticked(TickStore(settings), 41, 42, 43) == ["overtaken", "written", "written"]
    assert rebuilt_at(redis_client) == second(42)
    assert redis_client.exists(ASIDE)


def test_a_state_of_which_a_part_has_an_unknown_layout_is_rebuilt_and_said(
    redis_client: redis.Redis, settings: Settings
) -> None:
    publish(redis_client, TICKER, steady(0, 60))
    ticked(TickStore(settings), *range(1, 41))
    body = (redis_client.hget(STATE, "outcomes") or b"")[4:]
    mark = state_packing._checksum(body, FABRICATED)  # noqa: SLF001
    redis_client.hset(STATE, "outcomes", mark + body)

    assert ticked(TickStore(settings), 41, 42, 43) == ["overtaken", "written", "written"]
    assert rebuilt_at(redis_client) == second(42)
    assert redis_client.exists(ASIDE)


def test_a_state_of_before_layouts_had_numbers_goes_on(
    redis_client: redis.Redis, settings: Settings
) -> None:
    publish(redis_client, TICKER, steady(0, 60))
    ticked(TickStore(settings), *range(1, 31))
    redis_client.hset(STATE, "engine", ENGINE)

    assert ticked(TickStore(settings), 31, 32) == ["written", "written"]
    assert rebuilt_at(redis_client) is None
    assert redis_client.hget(STATE, "engine") == codec.STATE_VERSION.encode()


def test_an_older_worker_does_not_move_a_newer_ones_ticker_to_its_shard(
    redis_client: redis.Redis, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    now_ms = clock.now_ms()
    monkeypatch.setattr(clock, "now_ms", lambda: now_ms)  # no tick gets stale meanwhile
    as_of = int(now_ms // 1000 - 1) * 1000
    older = TickStore(settings)
    monkeypatch.setattr(ticks, "store", lambda: older)
    monkeypatch.setattr(ticks.counters, "_flushed_at", time.monotonic())
    KeyWriter(redis_client).quote(TICKER, age_seconds=2.5)
    TickStore(settings).run_tick(TICKER, as_of)
    rewrite(redis_client, NEWER[0])
    pending = ticks.PendingTick(TICKER, as_of + 1000)

    ticks.start(pending)

    assert (pending.outcome, pending.is_held) == (OUTDATED, False)


def test_status_and_answers_say_that_older_workers_run(
    writer: KeyWriter, redis_client: redis.Redis, settings: Settings, reader: Reader
) -> None:
    writer.heartbeat()
    writer.discovered("SPY")
    writer.quote(age_seconds=0)
    writer.tick(age_seconds=20)
    redis_client.hset("orderflow:pulse", "outdated", writer.now - 1000)

    said = as_text(HealthInspector(redis_client, settings).status())

    assert "TROUBLE: workers of an older version" in said
    assert "workers of an older version" in ask(reader, "SPY", "30s").reply.text
    redis_client.hset("orderflow:pulse", "outdated", writer.now - 60_000)
    said = as_text(HealthInspector(redis_client, settings).status())
    assert "older version" not in said
