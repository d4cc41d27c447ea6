"""Lines go on after what happens to connections and servers, and write all of a tick or nothing."""

from collections.abc import Iterator

import pytest
import redis
from redis.exceptions import OutOfMemoryError, ResponseError

from app.keys import Keys
from app.lines import Line, Lines
from app.scripts import READ

pytestmark = pytest.mark.redis

NAMES = Keys().of_tick("SPY")
WORDS = [len(NAMES), *NAMES, "1-2", 1_700_000_000_000, 3_600, 20_000, 100_000, 60]
FAULTY = [len(NAMES), *NAMES, "?"]


@pytest.fixture
def line(redis_client: redis.Redis) -> Iterator[Line]:
    """Lend a line for the length of a test."""
    with Lines(redis_client).to("a") as lent:
        yield lent


def read(line: Line) -> list[object]:
    return line.read(READ, WORDS, [("PING",)])


def test_a_script_that_the_server_forgot_is_loaded_anew(
    redis_client: redis.Redis, line: Line
) -> None:
    first = read(line)

    redis_client.script_flush()

    assert read(line) == first


def test_a_connection_that_was_killed_is_opened_anew_for_a_read(
    redis_client: redis.Redis, line: Line
) -> None:
    first = read(line)

    redis_client.client_kill_filter(_type="normal", skipme=True)

    assert read(line) == first


def test_a_failing_script_leaves_its_connection_in_use(line: Line) -> None:
    first = read(line)

    with pytest.raises(ResponseError):
        line.read(READ, FAULTY, [("PING",)])

    assert read(line) == first


def test_one_connection_serves_however_many_ticks(redis_client: redis.Redis) -> None:
    lines = Lines(redis_client)
    with lines.to("a") as line:
        read(line)
    before = redis_client.info("stats")["total_connections_received"]

    for _ in range(20):
        with lines.to("a") as line:
            read(line)

    assert redis_client.info("stats")["total_connections_received"] == before


def test_a_transaction_is_carried_out_where_nothing_watched_has_changed(
    redis_client: redis.Redis, line: Line
) -> None:
    line.read(READ, WORDS, [("WATCH", "a")])

    assert line.write([("MULTI",), ("SET", "a", 1), ("SET", "b", 2), ("EXEC",)])
    assert redis_client.mget("a", "b") == [b"1", b"2"]


def test_nothing_of_a_transaction_is_done_where_a_watched_key_has_changed(
    redis_client: redis.Redis, line: Line
) -> None:
    line.read(READ, WORDS, [("WATCH", "a")])
    redis_client.set("a", 0)

    assert not line.write([("MULTI",), ("SET", "a", 1), ("SET", "b", 2), ("EXEC",)])
    assert redis_client.mget("a", "b") == [b"0", None]


def test_a_connection_that_was_killed_before_a_write_is_told_and_nothing_is_written(
    redis_client: redis.Redis, line: Line
) -> None:
    line.read(READ, WORDS, [("WATCH", "a")])
    redis_client.client_kill_filter(_type="normal", skipme=True)

    with pytest.raises(redis.ConnectionError):
        line.write([("MULTI",), ("SET", "a", 1), ("EXEC",)])

    assert redis_client.get("a") is None
    assert read(line)


def test_a_refused_transaction_says_why_and_nothing_is_done(
    redis_client: redis.Redis, line: Line
) -> None:
    line.read(READ, WORDS, [("WATCH", "a")])
    redis_client.config_set("maxmemory", "1mb")
    try:
        with pytest.raises(OutOfMemoryError):
            line.write([("MULTI",), ("DEL", "b"), ("SET", "a", 1), ("EXEC",)])
    finally:
        redis_client.config_set("maxmemory", 0)

    assert redis_client.get("a") is None
    assert line.write([("MULTI",), ("SET", "a", 1), ("EXEC",)])


def test_a_bar_that_is_kept_already_is_no_error_and_any_other_is(
    redis_client: redis.Redis, line: Line
) -> None:
    bar = ("XADD", "bars", "5-0", "b", "x")
    assert line.write([("MULTI",), bar, ("EXEC",)])

    assert line.write([("MULTI",), bar, ("SET", "a", 1), ("EXEC",)])
    assert redis_client.get("a") == b"1"
    with pytest.raises(ResponseError, match="WRONGTYPE"):
        line.write([("MULTI",), ("HSET", "a", "field", 1), ("EXEC",)])
