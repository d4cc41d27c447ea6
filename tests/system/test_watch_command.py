"""`orderflow watch` prints and posts each event once, over its own restarts too."""

import json
import signal
from pathlib import Path

import pytest
import redis

from tests.key_writer import KeyWriter
from tests.mcp_app.market import Market
from tests.processes import Running, Start, wait_until
from tests.waiting.receiver import receiving
from tests.waiting.test_webhook import SECRET, is_signed

pytestmark = pytest.mark.system


@pytest.fixture
def market(writer: KeyWriter, redis_client: redis.Redis) -> Market:
    writer.healthy_ticker()
    return Market(redis_client, writer)


def watching(start: Start, market: Market, *options: str, **settings: str) -> Running:
    """Start the command; its first look is taken once it has been told of an event."""
    running = start("app", "watch", "spy", "--when", "icebergs", *options, **settings)
    wait_until(lambda: "watching SPY: iceberg" in running.said(), "the command watches")
    assert market.as_of
    return running


def told(running: Running) -> list[str]:
    """Return the ids of the events that were printed as JSON."""
    lines = [line for line in running.said().splitlines() if line.startswith("{")]
    return [json.loads(line)["id"] for line in lines]


def test_events_are_printed_as_they_are_noticed(start: Start, market: Market) -> None:
    running = watching(start, market, "--since", str(market.as_of))
    market.notice("wall")
    market.notice(return_minutes=34.0)

    wait_until(lambda: "once in 34 min" in running.said(), "it prints how rare it is")
    assert "wall" not in running.said()
    assert running.end(signal.SIGINT) == 0


def test_each_is_told_once_over_restarts(start: Start, market: Market, tmp_path: Path) -> None:
    resume = ("--json", "--resume", str(tmp_path / "told"))
    first = watching(start, market, *resume, "--since", str(market.as_of))
    noticed = [market.notice(), market.notice()]
    wait_until(lambda: len(told(first)) == 2, "both are told")
    first.end(signal.SIGINT)
    noticed.append(market.notice())

    second = watching(start, market, *resume)
    wait_until(lambda: told(second) != [], "the third is told")
    noticed.append(market.notice())
    wait_until(lambda: len(told(second)) == 2, "the fourth is told")

    assert told(first) + told(second) == noticed


def test_each_is_posted_and_posted_again_where_that_failed(start: Start, market: Market) -> None:
    with receiving(503) as receiver:
        running = watching(
            start,
            market,
            "--since",
            str(market.as_of),
            "--webhook",
            receiver.url,
            ORDERFLOW_WEBHOOK_SECRET=SECRET,
        )
        noticed = market.notice()
        wait_until(lambda: len(receiver.posts) == 2, "it is posted again")

    assert [json.loads(post.body)["id"] for post in receiver.posts] == [noticed] * 2
    assert all(is_signed(post) for post in receiver.posts)
    assert "secret" not in running.said()


def test_ticks_that_stop_and_come_again_are_told_once_while_others_go_on(
    start: Start, market: Market, writer: KeyWriter
) -> None:
    writer.quote("QQQ")
    writer.discovered("QQQ")
    writer.tick("QQQ")
    running = start("app", "watch", "SPY", "QQQ", "--when", "icebergs")
    wait_until(lambda: "watching SPY, QQQ" in running.said(), "the command watches")

    def said_while_others_tick(line: str) -> bool:
        market.tick("QQQ")
        return line in running.said()

    wait_until(lambda: said_while_others_tick("SPY: no tick for "), "it tells of the silence")
    assert "start `celery" in running.said()
    market.notice(ticker="QQQ", return_minutes=34.0)
    wait_until(lambda: said_while_others_tick("once in 34 min"), "it goes on with others")
    assert running.said().count("SPY: no tick for ") == 1
    assert "orderflow: QQQ: " not in running.said()

    market.tick("SPY")
    wait_until(lambda: "orderflow: SPY: ticks again, after " in running.said(), "it tells of it")


@pytest.mark.usefixtures("market")
@pytest.mark.parametrize(
    ("options", "fault"),
    [
        (["SPX"], "SPX: no record of this ticker"),
        (["SPY", "--when", "avalanche"], "'avalanche' is not understood"),
        (["SPY", "--since", "soon"], "since 'soon' is not understood"),
        (["SPY", "--webhook", "http://127.0.0.1/"], "ORDERFLOW_WEBHOOK_SECRET is not set"),
    ],
)
def test_what_can_not_be_watched_ends_the_command_with_a_line(
    start: Start, options: list[str], fault: str
) -> None:
    running = start("app", "watch", *options)

    assert running.wait() == 1
    assert fault in running.said()
    assert "Traceback" not in running.said()
