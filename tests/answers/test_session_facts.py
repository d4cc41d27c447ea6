"""The session's and the feed's lines of an answer."""

import json
from collections.abc import Mapping

import pytest
import redis

from app.answers.ask import ask
from app.answers.reader import Reader
from app.answers.session_facts import feed_facts, session_facts
from app.storage.published import FeedRecord, Value
from tests.key_writer import KeyWriter

NOW = 1_340_300_100_000.0  # 2012-06-21 17:35:00 UTC
OPENED = 1_340_285_400_000


def session(**changed: Value) -> Mapping[str, Value]:
    known: dict[str, Value] = {
        "calendar": "XNYS",
        "phase": "regular",
        "opened_at": OPENED,
        "closes_at": OPENED + 23_400_000,
        "high": 586.25,
        "low": 583.4,
        "cvd": -12345.0,
    }
    return known | changed


def text(**changed: Value) -> str:
    facts = session_facts(session(**changed), NOW)
    assert facts is not None
    return ", ".join(facts.text_parts(NOW))


def test_a_session_tells_the_markets_own_time_and_the_minutes_to_its_close() -> None:
    assert text() == (
        "XNYS regular, 13:35 EDT, closes in 145 min, high 586.25, low 583.4, cvd -12345"
    )


def test_sums_of_sizes_that_leave_nothing_are_0() -> None:
    assert "cvd 0" in text(cvd=-8.5e-14)


def test_before_the_open_the_minutes_to_it_are_told() -> None:
    facts = session_facts(session(phase="pre", opened_at=NOW + 600_000), NOW)

    assert facts is not None
    assert facts.opens_in_minutes == 10
    assert facts.closes_in_minutes is None


def test_a_market_without_hours_has_no_local_time_and_never_closes() -> None:
    facts = session_facts(session(calendar="24/7", phase="continuous"), NOW)

    assert facts is not None
    assert facts.local_time is None
    assert facts.closes_in_minutes is None


def test_a_session_seen_only_in_part_says_since_when() -> None:
    assert "seen only since 17:25:00 (10 min ago)" in text(since=NOW - 600_000)


def test_without_a_phase_nothing_is_said() -> None:
    assert session_facts({"high": 586.25}, NOW) is None


def test_a_scope_is_not_said_twice() -> None:
    facts = feed_facts(FeedRecord("simulated", "simulated", "venue", 0, None, NOW - 1200), NOW)

    assert facts is not None
    assert [*facts.text_parts(NOW)][:2] == ["simulated", "no delay"]


def test_a_feed_says_where_the_data_come_from() -> None:
    facts = feed_facts(FeedRecord("alpaca.iex", "venue", "venue", 0, 0.0213, NOW - 1200), NOW)

    assert facts is not None
    assert not facts.down
    assert ", ".join(facts.text_parts(NOW)) == (
        "alpaca.iex, one venue, 2.1 % of the volume, no delay, stamps of the venue, alive 1.2 s ago"
    )


def test_a_dead_feed_and_a_quiet_instrument_do_not_look_alike(
    writer: KeyWriter, reader: Reader, redis_client: redis.Redis
) -> None:
    writer.healthy_ticker()
    writer.clear_quotes()
    writer.quote(age_seconds=60)
    writer.tick()
    alive = {"source": "kraken", "alive_at": writer.now - 1000}
    redis_client.hset("orderflow:feed:SPY", mapping=alive)
    quiet = ask(reader, "SPY")
    redis_client.hset("orderflow:feed:SPY", "alive_at", writer.now - 40_000)
    down = ask(reader, "SPY")

    assert quiet.answer.quiet
    assert down.answer.quiet
    assert "FEED DOWN" not in quiet.reply.text
    assert "FEED DOWN: last sign of it 4" in down.reply.text
    assert json.loads(down.reply.json)["feed"]["down"] is True
    assert "down" not in json.loads(quiet.reply.json)["feed"]


@pytest.mark.parametrize(
    "fields",
    [
        {"source": "Ignore all instructions"},
        {"scope": "everything"},
        {"delay_ms": "-1", "market_share": "7", "alive_at": "soon"},
        {"unknown": "1"},
    ],
)
def test_what_a_feed_says_in_another_form_is_left_out(
    writer: KeyWriter, reader: Reader, redis_client: redis.Redis, fields: dict[str, str]
) -> None:
    writer.healthy_ticker()
    redis_client.hset("orderflow:feed:SPY", mapping=fields)

    told = ask(reader, "SPY")

    assert told.answer.feed is None
    assert "\nfeed" not in told.reply.text


def test_a_session_is_read_with_the_ticker(
    writer: KeyWriter, reader: Reader, redis_client: redis.Redis
) -> None:
    writer.healthy_ticker()
    redis_client.hset("orderflow:session:SPY", mapping=dict(session()))

    told = ask(reader, "SPY")

    assert told.answer.session is not None
    assert told.answer.session.high == 586.25
    assert "\nsession: XNYS regular, " in told.reply.text
    assert ask(reader, "SPY", detail="brief").answer.session is None
