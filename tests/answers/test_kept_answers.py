"""What agents were told is listed by time and told again word for word."""

import pytest
import redis

from app.answers.ask import ask
from app.answers.kept_answers import MAX_LISTED, KeptAnswers
from app.answers.list_tickers import list_tickers
from app.answers.reader import Reader
from app.answers.rendering import archive, archive_rendered
from app.core.errors import StoreUnavailable, UnknownAnswer
from app.core.settings import Settings
from app.storage.redis_client import connect
from tests.key_writer import KeyWriter


@pytest.fixture
def kept(settings: Settings) -> KeptAnswers:
    """Give a reader of the archive."""
    return KeptAnswers(connect(settings))


def test_an_answer_about_a_ticker_is_listed_and_told_as_it_was_sent(
    kept: KeptAnswers, reader: Reader, writer: KeyWriter
) -> None:
    writer.healthy_ticker()
    sent = archive_rendered(reader, ask(reader, "SPY").reply)

    [listed] = kept.listed()
    told = kept.one(listed.id)

    assert listed.id == sent.structured_content["answer_id"]
    assert (listed.ticker, listed.as_of) == ("SPY", writer.as_of)
    assert listed.title == sent.text.splitlines()[0]
    assert listed.text is None
    assert told.text == sent.text
    assert told.at == listed.at == kept.newest_at()


def test_the_newest_comes_first_and_those_before_a_moment_are_left_out(
    kept: KeptAnswers, reader: Reader, writer: KeyWriter, redis_client: redis.Redis
) -> None:
    writer.healthy_ticker()
    ids = [archive(reader, list_tickers(reader)).structured_content["answer_id"] for _ in "abc"]
    times = {answer_id: writer.now + place for place, answer_id in enumerate(ids)}
    redis_client.zadd("orderflow:answers:newest", times)

    assert [it.id for it in kept.listed()] == ids[::-1]
    assert [it.id for it in kept.listed(writer.now)] == ids[:0:-1]
    assert all(it.ticker is None for it in kept.listed()), "of several tickers"


def test_the_list_is_bounded(
    kept: KeptAnswers, redis_client: redis.Redis, writer: KeyWriter
) -> None:
    for number in range(MAX_LISTED + 5):
        name = f"{number:08}".translate(str.maketrans("0189", "abcd"))
        redis_client.hset(f"orderflow:answers:{name}", mapping={"text": "x", "json": "{}"})
        redis_client.zadd("orderflow:answers:newest", {name: writer.now + number})

    assert len(kept.listed()) == MAX_LISTED


def test_what_is_no_answer_is_not_read_as_one(
    kept: KeptAnswers, redis_client: redis.Redis, writer: KeyWriter
) -> None:
    words = {
        "aaaaaaaa": "no json",
        "bbbbbbbb": '{"ticker": "<b>", "as_of": "x"}',
        "cccccccc": "[1]",
    }
    for name, text in words.items():
        redis_client.hset(f"orderflow:answers:{name}", mapping={"json": text, "text": b"\xff\nb"})
        redis_client.zadd("orderflow:answers:newest", {name: writer.now})
    redis_client.zadd("orderflow:answers:newest", {"../../etc": writer.now, "dddddddd": writer.now})

    listed = kept.listed()

    assert {it.id for it in listed} == set(words)
    assert all(it.ticker is None and it.as_of is None for it in listed)
    assert {it.title for it in listed} == {"\ufffd"}


@pytest.mark.usefixtures("redis_client")
def test_an_answer_that_is_not_kept_is_said(kept: KeptAnswers) -> None:
    assert kept.newest_at() is None
    assert kept.listed() == []
    with pytest.raises(UnknownAnswer, match="zzzzzzzz"):
        kept.one("zzzzzzzz")


def test_without_redis_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDIS_URL", "redis://127.0.0.1:1/0")

    with pytest.raises(StoreUnavailable):
        KeptAnswers(connect(Settings())).listed()
