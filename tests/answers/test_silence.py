"""A silent ticker is told apart from a silent broker; a moment not kept is an error."""

import pytest
import redis

from app.answers.ask import ask
from app.answers.reader import Reader
from app.core.errors import BrokerSilent, NoQuotes
from tests.key_writer import KeyWriter


@pytest.fixture
def quiet(writer: KeyWriter) -> KeyWriter:
    """Give a ticker whose newest quote is a minute old."""
    writer.healthy_ticker()
    writer.clear_quotes()
    writer.quote(age_seconds=60)
    writer.tick()
    return writer


def test_a_ticker_that_is_silent_while_others_quote_is_named(
    quiet: KeyWriter, reader: Reader
) -> None:
    quiet.discovered("QQQ")

    told = ask(reader, "SPY")

    assert told.answer.note is not None
    assert told.answer.note.startswith("quotes of other tickers arrive, the newest of SPY came ")
    assert "broker is silent" not in told.reply.text
    assert "QUIET: no quote of SPY for unusually long" in told.reply.text


def test_where_no_ticker_quotes_the_broker_is_said_to_be_silent(
    quiet: KeyWriter, reader: Reader, redis_client: redis.Redis
) -> None:
    redis_client.zadd("orderflow:tickers", {"SPY": quiet.now, "QQQ": quiet.now - 60_000})

    note = ask(reader, "SPY").answer.note

    assert note is not None
    assert note.startswith("the broker is silent: the newest quote came ")


def test_an_inactive_ticker_is_told_apart_from_a_silent_broker_too(
    writer: KeyWriter, reader: Reader, redis_client: redis.Redis
) -> None:
    writer.healthy_ticker()
    writer.clear_quotes()
    writer.quote(age_seconds=400)
    redis_client.zadd("orderflow:tickers", {"SPY": writer.now - 400_000, "QQQ": writer.now})

    with pytest.raises(BrokerSilent, match="quotes of other tickers arrive, the newest of SPY"):
        reader.snapshot("SPY", 300)


def test_a_moment_of_which_nothing_is_kept_is_an_error(writer: KeyWriter, reader: Reader) -> None:
    writer.healthy_ticker()

    with pytest.raises(NoQuotes, match="no quote is kept of "):
        reader.snapshot("SPY", 60, at_ms=int(writer.now) - 1_800_000)
