"""`make run` and `orderflow feed live` from a local venue up to the answer."""

import re
import signal
import subprocess
import sys
import time

import psutil
import pytest
import redis

from tests.processes import ROOT, Environment, Start, free_port, wait_until
from tests.timing import AssertWithin
from tests.venues.kraken import KrakenVenue

pytestmark = pytest.mark.system

ANSWER_WITHIN_SECONDS = 60.0
FEED_LINE = r"feed: kraken, one venue, (no delay|delay [0-9.]+ s), stamps of the venue, alive .+"
PORTS = ("REDIS_PORT", "ORDERFLOW_MCP_PORT", "ORDERFLOW_FLOWER_PORT")


@pytest.fixture
def ports() -> dict[str, str]:
    return {variable: str(free_port()) for variable in PORTS}


@pytest.fixture
def environment(environment: Environment) -> Environment:
    """Leave Redis to the supervisor."""
    return {name: text for name, text in environment.items() if name != "REDIS_HOST"}


def test_make_run_answers_about_a_live_ticker_within_a_minute(
    start: Start, ports: dict[str, str], environment: Environment, assert_within: AssertWithin
) -> None:
    """Newcomers type a symbol loosely, and are told which ticker to ask for."""
    venue = start("tests.venues", "kraken", "BTC/USD", "ETH/USD", "--rate", "100")
    wait_until(lambda: venue.said().endswith("\n"), "the venue's address")
    began = time.monotonic()
    run = start(
        "app.operations.supervisor",
        ORDERFLOW_FEED="kraken:btcusd,eth-usd",
        ORDERFLOW_FEED_URL=venue.said().strip(),
        ORDERFLOW_WORKERS="1",
        **ports,
    )
    wait_until(lambda: "BTC/USD is up to date: " in run.said(), "the ticker's first tick")
    answer = subprocess.run(
        [sys.executable, "-m", "app", "ask", "BTC/USD"],
        cwd=ROOT,
        env=environment | ports,
        capture_output=True,
        text=True,
        check=False,
    )
    assert_within(ANSWER_WITHIN_SECONDS, time.monotonic() - began)

    assert answer.returncode == 0, answer.stderr
    [line] = [line for line in answer.stdout.splitlines() if line.startswith("feed: ")]
    assert re.fullmatch(FEED_LINE, line), line
    assert "ask btcusd" not in run.said()
    assert run.end() == 0
    assert venue.end() == 0


def test_what_a_venue_refuses_at_the_start_ends_make_run_with_its_code(
    start: Start, ports: dict[str, str]
) -> None:
    with KrakenVenue("BTC/USD", "ETH/USD") as venue:
        venue.faults.symbol_limit = 1
        run = start(
            "app.operations.supervisor",
            ORDERFLOW_FEED="kraken:BTC/USD,ETH/USD",
            ORDERFLOW_FEED_URL=venue.url,
            ORDERFLOW_WORKERS="1",
            **ports,
        )
        code = run.wait()

    assert code == 78
    said = run.said()
    assert "feed can't run: Error: kraken:BTC/USD,ETH/USD: Exceeded maximum number" in said
    assert "starting it again" not in said
    assert "Traceback" not in said


def test_a_symbol_that_a_venue_does_not_list_starts_nothing(
    start: Start, ports: dict[str, str]
) -> None:
    with KrakenVenue("BTC/USD") as venue:
        run = start(
            "app.operations.supervisor",
            ORDERFLOW_FEED="kraken:BTC/USDX",
            ORDERFLOW_FEED_URL=venue.url,
            ORDERFLOW_WORKERS="1",
            **ports,
        )
        code = run.wait()

    assert code == 78
    assert run.said() == (
        "orderflow: ORDERFLOW_FEED='kraken:BTC/USDX' is refused: "
        "kraken has no symbol 'BTC/USDX'; near ones: BTC/USD\n"
    )


def test_a_password_in_the_address_of_a_gateway_is_not_logged(
    start: Start, redis_client: redis.Redis
) -> None:
    with KrakenVenue("BTC/USD") as venue:
        address = venue.url.replace("ws://", "ws://user:hidden@")
        feed = start("app", "feed", "live", "kraken:btcusd", ORDERFLOW_FEED_URL=address)
        wait_until(lambda: redis_client.exists("orderflow:quotes:BTC/USD") == 1, "a quote")
        assert feed.end() == 0

    assert "connected" in feed.said()
    assert "hidden" not in feed.said()


def test_ctrl_c_while_a_feed_starts_ends_it_as_later(start: Start) -> None:
    """The command hands over to another program in its own process, which takes a moment."""
    with KrakenVenue("BTC/USD") as venue:
        feed = start("app", "feed", "live", "kraken:btcusd", ORDERFLOW_FEED_URL=venue.url)
        process = psutil.Process(feed.pid)
        wait_until(lambda: "app.feeds.live.run" in process.cmdline(), "the program of the feed")
        code = feed.end(signal.SIGINT)

    assert code == 0, feed.said()
    assert "published" in feed.said()
    assert "Traceback" not in feed.said()


def test_a_loose_symbol_without_a_network_ends_the_feed_with_one_line(start: Start) -> None:
    nowhere = f"ws://127.0.0.1:{free_port()}"
    feed = start("app", "feed", "live", "kraken:btcusd", ORDERFLOW_FEED_URL=nowhere)

    assert feed.wait() == 1
    assert feed.said() == (
        "Error: the symbols of kraken can't be read: no connection; "
        "without them 'btcusd' has to be as in kraken:BTC/USD,ETH/USD\n"
    )


def test_a_pair_in_full_is_fed_as_soon_as_there_is_a_network(
    start: Start, redis_client: redis.Redis
) -> None:
    with KrakenVenue("BTC/USD") as venue:
        venue.go_down()
        feed = start("app", "feed", "live", "kraken:BTC/USD", ORDERFLOW_FEED_URL=venue.url)
        wait_until(lambda: "no connection, trying again" in feed.said(), "an attempt in vain")
        venue.come_up()
        wait_until(lambda: redis_client.exists("orderflow:quotes:BTC/USD") == 1, "a quote")
        assert feed.end() == 0

    assert feed.said().count("symbols are taken as written") == 1


@pytest.mark.parametrize(
    ("asked", "settings", "code", "line"),
    [
        ("kraken:FOO/USD", {}, 78, "kraken has no symbol 'FOO/USD'"),
        ("kracken:BTC/USD", {}, 78, "there is no live source 'kracken'; sources: kraken, "),
        ("kraken", {}, 78, "'kraken' names no ticker: write it as in kraken:BTC/USD,ETH/USD"),
        (
            "kraken:BTC/USD",
            {"ORDERFLOW_FEED_URL": "ws://user:hidden@"},
            1,
            "ORDERFLOW_FEED_URL=(hidden) is not allowed; allowed: ws:// or wss:// with a host",
        ),
    ],
)
def test_what_can_not_be_fed_ends_the_command_with_one_line(
    start: Start, asked: str, settings: dict[str, str], code: int, line: str
) -> None:
    with KrakenVenue("BTC/USD") as venue:
        run = start("app", "feed", "live", asked, **({"ORDERFLOW_FEED_URL": venue.url} | settings))
        assert run.wait() == code

    told = [one for one in run.said().splitlines() if line in one]
    assert len(told) == 1
    assert "Traceback" not in run.said()
    assert "user:hidden" not in run.said()
