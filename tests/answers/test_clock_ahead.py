"""What is said of ticks ahead of the reader's clock, whichever of the clocks is wrong."""

import re
from collections.abc import Iterator
from contextlib import closing

import pytest
import redis

from app.answers.reader import Reader
from app.answers.scan import scan
from app.answers.ticker_answer import build_answer
from app.answers.ticker_text import as_text
from app.core import clock
from app.core.settings import Settings
from app.operations.status import HealthInspector
from app.storage import keys
from tests.key_writer import KeyWriter

pytestmark = pytest.mark.redis


@pytest.fixture(autouse=True)
def at() -> Iterator[float]:
    """Let the reader's clock stand still: by a busy machine's, ticks would be less far ahead."""
    at_ms = clock.now_ms()
    clock.stand_still(at_ms)
    yield at_ms
    clock.stand_still(None)


def ticked(client: redis.Redis, age_seconds: int) -> None:
    writer = KeyWriter(client)
    writer.quote()
    writer.discovered("SPY")
    writer.tick(age_seconds=age_seconds)


@pytest.mark.parametrize("ahead_seconds", [4, 120, 3600, 86_400])
def test_answers_flag_a_tick_ahead_and_name_the_clocks(
    redis_client: redis.Redis, settings: Settings, ahead_seconds: int
) -> None:
    ticked(redis_client, -ahead_seconds)

    with closing(Reader.from_settings(settings)) as reader:
        answer = build_answer(reader.snapshot("SPY", 60))
        overview, found = reader.overview(), scan(reader)

    assert answer.as_json()["ahead"] is True
    assert "AHEAD: " in as_text(answer)
    assert "as of 0.0 s ago" not in as_text(answer)
    assert overview.tickers[0].flags[-1] == "ahead"
    assert found.as_json()["ahead_tickers"] == 1
    assert "AHEAD 1" in found.as_text()
    for note in (answer.note, overview.cause):
        assert note is not None
        assert "clock" in note
        assert "start `celery" not in note


@pytest.mark.parametrize("ahead_seconds", [4, 120, 3600, 86_400])
def test_the_status_has_the_trouble_and_advises_on_clocks_not_on_starting(
    redis_client: redis.Redis, settings: Settings, ahead_seconds: int
) -> None:
    ticked(redis_client, -ahead_seconds)
    ahead_ms = int(clock.now_ms() / 1000 + ahead_seconds) * 1000
    redis_client.hset(keys.HEARTBEAT, mapping={"fanout": ahead_ms, "tick": ahead_ms})
    inspector = HealthInspector(redis_client, settings)
    status, ready = inspector.status(), inspector.readiness()

    assert list(status.ticks_ahead) == ["SPY"]
    assert any(trouble.startswith("AHEAD") for trouble in status.troubles)
    for troubles in (status.troubles, ready.troubles):
        assert "clocks differ" in troubles[0]
        assert not any("start `celery" in trouble for trouble in troubles)


@pytest.mark.parametrize("delay_seconds", [10, 900])
def test_a_tick_ahead_of_a_feed_that_is_behind_is_flagged_though_its_as_of_lies_before_the_clock(
    redis_client: redis.Redis, settings: Settings, delay_seconds: int
) -> None:
    ahead_seconds = 8
    ticked(redis_client, delay_seconds - ahead_seconds)
    redis_client.hset(keys.LAGS, "SPY", delay_seconds)
    ticked_at_ms = int(clock.now_ms() / 1000 + ahead_seconds) * 1000
    redis_client.hset("orderflow:state:SPY", "version", f"{ticked_at_ms}-5f-7")

    with closing(Reader.from_settings(settings)) as reader:
        answer = build_answer(reader.snapshot("SPY", 60))
        overview = reader.overview()
    status = HealthInspector(redis_client, settings).status()

    assert answer.as_json()["ahead"] is True
    assert answer.note is not None
    assert re.match(r"the newest tick is \d\.\d s ahead of this clock", answer.note)
    assert overview.tickers[0].flags[-1] == "ahead"
    assert overview.cause is not None
    assert "clock" in overview.cause
    assert list(status.ticks_ahead) == ["SPY"]


@pytest.mark.parametrize("age_seconds", [-1, 0, 1])
def test_a_tick_within_two_intervals_is_not_ahead(
    redis_client: redis.Redis, settings: Settings, age_seconds: int
) -> None:
    ticked(redis_client, age_seconds)

    with closing(Reader.from_settings(settings)) as reader:
        answer = build_answer(reader.snapshot("SPY", 60))
    assert "ahead" not in answer.as_json()
    assert not HealthInspector(redis_client, settings).status().ticks_ahead


@pytest.mark.parametrize("reader_seconds", [120, -4])
def test_a_reader_whose_own_clock_is_wrong_believes_nothing(
    redis_client: redis.Redis, settings: Settings, at: float, reader_seconds: int
) -> None:
    ticked(redis_client, 0)
    clock.stand_still(at + reader_seconds * 1000.0)

    with closing(Reader.from_settings(settings)) as reader:
        answer = build_answer(reader.snapshot("SPY", 60))
    assert (answer.stale, answer.ahead) == (reader_seconds > 0, reader_seconds < 0)
