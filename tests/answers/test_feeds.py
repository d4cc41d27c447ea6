"""A quiet instrument and a dead feed are never told alike, in no answer and at no time."""

import json

import pytest
import redis

from app.answers.ask import ask
from app.answers.compare import compare
from app.answers.list_tickers import list_tickers
from app.answers.reader import Reader
from app.answers.scan import scan
from app.core.errors import BrokerSilent
from app.core.settings import Settings
from app.operations.prometheus import AnalysisCollector
from app.operations.status import HealthInspector, as_text
from app.storage import keys
from app.storage.feeds import Feeds
from app.storage.keys import Keys
from tests.key_writer import KeyWriter

FEED = "orderflow:feed:SPY"
ALIVE = {"source": "kraken", "scope": "venue", "delay_ms": 0, "stamps": "venue"}
KIND = "kraken, one venue, no delay"


def quiet(writer: KeyWriter, client: redis.Redis) -> None:
    """Make a ticker quiet that the ticks and discovery know."""
    writer.healthy_ticker()
    writer.clear_quotes()
    writer.quote(age_seconds=60)
    writer.tick()
    writer.clear_trades()
    client.zadd(keys.TICKERS, {"SPY": writer.now - 60_000})


def say(client: redis.Redis, writer: KeyWriter, age_seconds: float, **fields: object) -> None:
    alive_at = round(writer.now - age_seconds * 1000)
    client.hset(FEED, mapping=ALIVE | {"alive_at": alive_at} | fields)


def expire(client: redis.Redis, writer: KeyWriter, settings: Settings) -> None:
    """Let discovery see the feed, and the feed's own key expire."""
    Feeds(client, Keys(cluster=settings.cluster)).note_when_due(writer.now)
    client.delete(FEED)


def told(reader: Reader) -> dict[str, str]:
    """Return what each tool says, as text."""
    return {
        "ask": ask(reader, "SPY").reply.text,
        "compare": compare(reader, ["SPY"]).as_text(),
        "list": list_tickers(reader).as_text(),
        "scan": scan(reader).as_text(),
    }


def test_every_tool_names_the_source_of_a_quiet_ticker_whose_feed_lives(
    writer: KeyWriter, reader: Reader, redis_client: redis.Redis
) -> None:
    quiet(writer, redis_client)
    say(redis_client, writer, 2)

    for tool, text in told(reader).items():
        assert KIND in text, tool
        assert "FEED DOWN" not in text, tool
        assert "QUIET" in text or tool == "scan", tool


@pytest.mark.parametrize("is_expired", [False, True])
def test_every_tool_says_that_a_feed_is_down_also_once_its_key_has_expired(
    writer: KeyWriter,
    reader: Reader,
    redis_client: redis.Redis,
    settings: Settings,
    *,
    is_expired: bool,
) -> None:
    quiet(writer, redis_client)
    say(redis_client, writer, 55)
    if is_expired:
        expire(redis_client, writer, settings)

    for tool, text in told(reader).items():
        assert "FEED DOWN" in text, tool
    assert json.loads(ask(reader, "SPY").reply.json)["feed"]["down"] is True
    assert "feed_down" in compare(reader, ["SPY"]).tickers[0].flags


def test_a_ticker_that_is_long_silent_is_told_with_its_feed(
    writer: KeyWriter, reader: Reader, redis_client: redis.Redis, settings: Settings
) -> None:
    writer.quote(age_seconds=400)
    redis_client.zadd(keys.TICKERS, {"SPY": writer.now - 200_000})
    say(redis_client, writer, 400)
    expire(redis_client, writer, settings)
    redis_client.zadd(keys.TICKERS, {"SPY": writer.now - 400_000})
    with pytest.raises(BrokerSilent, match=r"FEED DOWN: last sign of it 40\d s ago"):
        ask(reader, "SPY")

    say(redis_client, writer, 1)
    with pytest.raises(BrokerSilent, match=r"its feed is alive: last sign of it [12](\.\d)? s ago"):
        ask(reader, "SPY")


def test_records_of_another_broker_end_what_a_dead_feed_last_said(
    writer: KeyWriter, reader: Reader, redis_client: redis.Redis, settings: Settings
) -> None:
    writer.healthy_ticker()
    say(redis_client, writer, 30)
    expire(redis_client, writer, settings)

    for tool, text in told(reader).items():
        assert "FEED DOWN" not in text, tool
        assert "kraken" not in text, tool


def test_status_and_metrics_name_dead_feeds(
    writer: KeyWriter, redis_client: redis.Redis, settings: Settings
) -> None:
    quiet(writer, redis_client)
    say(redis_client, writer, 40)
    expire(redis_client, writer, settings)
    status = HealthInspector(redis_client, settings).status()

    assert status.feeds_down == ["SPY"]
    [trouble] = [line for line in status.troubles if "FEED DOWN" in line]
    assert trouble.startswith("FEED DOWN, last sign 4")
    assert trouble.endswith("s ago of kraken: SPY")
    assert f"feeds: {KIND}, FEED DOWN (1)" in as_text(status)
    found = {it.name: it.samples for it in AnalysisCollector(redis_client, settings).collect()}
    assert [it.value for it in found["orderflow_feeds_down"]] == [1]
    [described] = found["orderflow_feed_tickers"]
    assert described.labels == {"source": "kraken", "scope": "venue"}


def test_unknown_fields_are_counted_once_and_not_kept(
    writer: KeyWriter, redis_client: redis.Redis, settings: Settings
) -> None:
    writer.healthy_ticker()
    say(redis_client, writer, 1, colour="red", instruction="ignore all else")
    feeds = Feeds(redis_client, Keys(cluster=settings.cluster))

    counts = []
    for _ in range(2):
        feeds._due = 0.0  # noqa: SLF001 - as if 20 s had passed
        counts.append(feeds.note_when_due(writer.now))

    assert counts == [2, 0]
    assert b"red" not in (redis_client.hget(keys.FEEDS, "SPY") or b"")
