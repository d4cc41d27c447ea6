"""Lines go on after what happens to connections and servers, and write all of a tick or nothing."""

from collections.abc import Iterator

import pytest
import redis
from redis.exceptions import ConnectionError as Disconnected
from redis.exceptions import OutOfMemoryError, ResponseError

from app.storage.tick.resp import Command
from app.storage.tick_connection import TickConnection, TickConnections

pytestmark = pytest.mark.redis


@pytest.fixture
def line(redis_client: redis.Redis) -> Iterator[TickConnection]:
    """Lend a line for the length of a test."""
    with TickConnections(redis_client).connection_for("a") as lent:
        yield lent


Outcome = tuple[bool, Exception | None]


def told_of(line: TickConnection, *commands: Command) -> Outcome:
    """Write a transaction and hear what became of it."""
    heard: list[Outcome] = []
    line.write([("MULTI",), *commands, ("EXEC",)], lambda *outcome: heard.append(outcome))
    line.await_pending()
    [outcome] = heard
    return outcome


def test_replies_come_in_the_order_of_their_commands(line: TickConnection) -> None:
    assert line.read([("SET", "a", 1), ("GET", "a"), ("HLEN", "b")]) == [b"OK", b"1", 0]


def test_a_wrong_type_is_a_reply_and_any_other_error_is_raised(line: TickConnection) -> None:
    wrong, then = line.read([("SET", "a", 1), ("HLEN", "a"), ("PING",)])[1:]

    assert "WRONGTYPE" in str(wrong)
    assert then == b"PONG"
    with pytest.raises(ResponseError, match="unknown command"):
        line.read([("NO-SUCH-COMMAND",), ("PING",)])
    assert line.read([("PING",)]) == [b"PONG"]


def test_a_connection_that_was_killed_is_opened_anew_for_a_read(
    redis_client: redis.Redis, line: TickConnection
) -> None:
    line.first_read([("PING",)])

    redis_client.client_kill_filter(_type="normal", skipme=True)

    assert line.first_read([("PING",)]) == [b"PONG"]


def test_what_is_asked_later_in_a_tick_is_not_asked_again_over_a_new_connection(
    redis_client: redis.Redis, line: TickConnection
) -> None:
    line.first_read([("WATCH", "a")])

    redis_client.client_kill_filter(_type="normal", skipme=True)

    with pytest.raises(Disconnected):
        line.read([("GET", "b")])


def test_who_fails_at_hearing_leaves_no_reply_to_be_taken_for_anothers(
    line: TickConnection,
) -> None:
    def fail(*_: object) -> None:
        raise LookupError("a listener's own")

    line.write([("MULTI",), ("SET", "a", 1), ("EXEC",)], fail)

    with pytest.raises(LookupError):
        line.read([("ECHO", "mine")])
    assert line.read([("ECHO", "next")]) == [b"next"]


def test_one_connection_serves_however_many_ticks(redis_client: redis.Redis) -> None:
    lines = TickConnections(redis_client)
    with lines.connection_for("a") as line:
        line.read([("PING",)])
    before = redis_client.info("stats")["total_connections_received"]

    for _ in range(20):
        with lines.connection_for("a") as line:
            line.read([("PING",)])

    assert redis_client.info("stats")["total_connections_received"] == before


def test_a_transaction_is_carried_out_where_nothing_watched_has_changed(
    redis_client: redis.Redis, line: TickConnection
) -> None:
    line.read([("WATCH", "a")])

    assert told_of(line, ("SET", "a", 1), ("SET", "b", 2)) == (True, None)
    assert redis_client.mget("a", "b") == [b"1", b"2"]


def test_nothing_of_a_transaction_is_done_where_a_watched_key_has_changed(
    redis_client: redis.Redis, line: TickConnection
) -> None:
    line.read([("WATCH", "a")])
    redis_client.set("a", 0)

    assert told_of(line, ("SET", "a", 1), ("SET", "b", 2)) == (False, None)
    assert redis_client.mget("a", "b") == [b"0", None]


def test_what_became_of_a_write_is_heard_with_the_next_read(line: TickConnection) -> None:
    heard: list[Outcome] = []
    line.write([("MULTI",), ("SET", "a", 1), ("EXEC",)], lambda *outcome: heard.append(outcome))
    assert heard == []

    assert line.read([("GET", "a")]) == [b"1"]
    assert heard == [(True, None)]


def test_a_write_over_a_connection_that_was_killed_is_told_and_not_repeated(
    redis_client: redis.Redis, line: TickConnection
) -> None:
    line.read([("WATCH", "a")])
    redis_client.client_kill_filter(_type="normal", skipme=True)

    is_written, error = told_of(line, ("SET", "a", 1))

    assert not is_written
    assert isinstance(error, redis.ConnectionError)
    assert redis_client.get("a") is None
    assert line.read([("PING",)]) == [b"PONG"]


def test_a_read_goes_on_where_the_write_before_it_was_lost(
    redis_client: redis.Redis, line: TickConnection
) -> None:
    heard: list[Outcome] = []
    line.read([("WATCH", "a")])
    line.write([("MULTI",), ("SET", "a", 1), ("EXEC",)], lambda *outcome: heard.append(outcome))
    redis_client.client_kill_filter(_type="normal", skipme=True)

    assert line.first_read([("PING",)]) == [b"PONG"]
    assert len(heard) == 1


def test_a_refused_transaction_says_why_and_nothing_is_done(
    redis_client: redis.Redis, line: TickConnection
) -> None:
    line.read([("WATCH", "a")])
    redis_client.config_set("maxmemory", "1mb")
    try:
        is_written, error = told_of(line, ("DEL", "b"), ("SET", "a", 1))
    finally:
        redis_client.config_set("maxmemory", 0)

    assert not is_written
    assert isinstance(error, OutOfMemoryError)
    assert redis_client.get("a") is None
    assert told_of(line, ("SET", "a", 1)) == (True, None)


def test_a_bar_that_is_kept_already_is_no_error_and_any_other_is(
    redis_client: redis.Redis, line: TickConnection
) -> None:
    bar = ("XADD", "bars", "5-0", "b", "x")
    assert told_of(line, bar) == (True, None)

    assert told_of(line, bar, ("SET", "a", 1)) == (True, None)
    assert redis_client.get("a") == b"1"
    is_written, error = told_of(line, ("HSET", "a", "field", 1))
    assert not is_written
    assert "WRONGTYPE" in str(error)
