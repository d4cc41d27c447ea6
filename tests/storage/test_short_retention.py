"""A retention shorter than the windows: they are whole from their bars, and a loss is told."""

import json

import pytest
import redis

from app.core.errors import SettingError
from app.core.settings import Settings, read_settings
from app.storage.keys import LAGS, Keys
from app.storage.tick_store import TickStore
from app.storage.trimming import RecordTrimmer
from tests.broker import publish
from tests.builders import START_MS, second
from tests.storage.test_takeover import STATE, steady
from tests.storage.test_tick_store import TICKER

pytestmark = pytest.mark.redis

INTERVALS = [1, 7, 30]
RATE = 5


class Deployment:
    """A ticker that is fed, ticked and trimmed with the shortest retention."""

    def __init__(
        self, client: redis.Redis, settings: Settings, interval: int, delay: int = 0
    ) -> None:
        short = {"retention_seconds": 60, "interval_seconds": interval}
        self._client, self._step_ms = client, interval * 1000
        configured = settings.model_copy(update=short)
        self._store = TickStore(configured)
        self._trimmer = RecordTrimmer(client, Keys(), configured)
        self._now = self._delay = delay
        if delay:
            client.hset(LAGS, TICKER, delay)

    def run_until(self, end: int, *, ticks: bool = True) -> None:
        """Feed each second's records, and tick where a tick is due."""
        for number in range(self._now + 1, end + 1):
            stamped = number - self._delay
            publish(self._client, TICKER, steady(stamped - 0.9, stamped + 0.11, RATE))
            if not ticks:  # as its lifetime ends
                self._client.delete(f"orderflow:metrics:{TICKER}:10s")
            self._trimmer.trim_slice(second(number))
            if ticks and (START_MS + number * 1000) % self._step_ms == 0:
                self._store.run_tick(TICKER, second(number))
        self._now = end

    def window(self, name: str = "5min") -> tuple[int, float, dict[str, object]]:
        """Return a window's number of quotes, covered seconds and quality."""
        fields = "quote_count", "covered_seconds", "quality"
        found = self._client.hmget(f"orderflow:metrics:{TICKER}:{name}", *fields)
        count, covered, quality = (text or b"0" for text in found)
        return int(count), float(covered), json.loads(quality)


@pytest.mark.parametrize("interval", INTERVALS)
def test_windows_longer_than_the_retention_are_whole(
    redis_client: redis.Redis, settings: Settings, interval: int
) -> None:
    deployed = Deployment(redis_client, settings, interval)
    deployed.run_until(400)

    count, covered, quality = deployed.window()

    assert (count, covered, quality) == (300 * RATE, 300.0, {})
    assert redis_client.zcard(f"orderflow:quotes:{TICKER}") <= (60 + 2 * interval + 10) * RATE


@pytest.mark.parametrize("interval", INTERVALS)
def test_windows_of_a_feed_delayed_by_more_than_the_retention_are_whole(
    redis_client: redis.Redis, settings: Settings, interval: int
) -> None:
    deployed = Deployment(redis_client, settings, interval, delay=900)
    deployed.run_until(1300)

    count, covered, quality = deployed.window()

    assert (count, covered, quality) == (300 * RATE, 300.0, {})
    assert redis_client.hget(LAGS, TICKER) == b"900"


@pytest.mark.parametrize("interval", INTERVALS)
def test_what_is_rebuilt_covers_what_was_kept_and_says_so(
    redis_client: redis.Redis, settings: Settings, interval: int
) -> None:
    deployed = Deployment(redis_client, settings, interval)
    deployed.run_until(200)
    redis_client.delete(STATE)
    deployed.run_until(200 + 2 * interval)

    count, covered, quality = deployed.window()

    assert second(200) <= int(str(quality["rebuilt_at"])) <= second(200 + 2 * interval)
    assert 50 <= covered <= 62 + 2 * interval
    assert count == pytest.approx(covered * RATE, abs=2)


@pytest.mark.parametrize("interval", INTERVALS)
def test_what_waits_longer_than_the_retention_for_a_tick_is_not_lost(
    redis_client: redis.Redis, settings: Settings, interval: int
) -> None:
    deployed = Deployment(redis_client, settings, interval)
    deployed.run_until(150)
    deployed.run_until(300, ticks=False)
    deployed.run_until(310 + 2 * interval)

    assert deployed.window() == (300 * RATE, 300.0, {})


@pytest.mark.parametrize("value", ["59", "10", "0", "-1", "86401", "1h", "60.5"])
def test_other_retentions_are_refused(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("ORDERFLOW_RETENTION_SECONDS", value)

    with pytest.raises(SettingError, match=r"whole numbers from 60 to 86400"):
        read_settings()
