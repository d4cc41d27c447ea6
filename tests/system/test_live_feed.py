"""`make run` and `orderflow feed live` from a local venue up to the answer."""

import subprocess
import sys

import pytest

from tests.processes import ROOT, Environment, Start, free_port, wait_until
from tests.venues.kraken import KrakenVenue

pytestmark = pytest.mark.system

PORTS = ("REDIS_PORT", "ORDERFLOW_MCP_PORT", "ORDERFLOW_FLOWER_PORT")


@pytest.fixture
def ports() -> dict[str, str]:
    return {variable: str(free_port()) for variable in PORTS}


@pytest.fixture
def environment(environment: Environment) -> Environment:
    """Leave Redis to the supervisor."""
    return {name: text for name, text in environment.items() if name != "REDIS_HOST"}


def test_make_run_answers_about_a_live_ticker_and_says_where_from(
    start: Start, ports: dict[str, str], environment: Environment
) -> None:
    with KrakenVenue("BTC/USD", "ETH/USD") as venue:
        venue.rate = 100.0
        run = start(
            "app.operations.supervisor",
            ORDERFLOW_FEED="kraken:BTC/USD,ETH/USD",
            ORDERFLOW_FEED_URL=venue.url,
            ORDERFLOW_WORKERS="1",
            **ports,
        )
        wait_until(lambda: "BTC/USD is up to date: " in run.said(), "the ticker's first tick", 60)
        answer = subprocess.run(
            [sys.executable, "-m", "app", "ask", "BTC/USD"],
            cwd=ROOT,
            env=environment | ports,
            capture_output=True,
            text=True,
            check=False,
        )

    assert answer.returncode == 0, answer.stderr
    [line] = [line for line in answer.stdout.splitlines() if line.startswith("feed: ")]
    assert line.startswith("feed: kraken, ")
    assert "stamps of the venue" in line


def test_what_a_venue_refuses_at_the_start_ends_make_run_with_its_code(
    start: Start, ports: dict[str, str]
) -> None:
    with KrakenVenue("BTC/USD") as venue:
        run = start(
            "app.operations.supervisor",
            ORDERFLOW_FEED="kraken:BTC/USD,FOO/USD",
            ORDERFLOW_FEED_URL=venue.url,
            ORDERFLOW_WORKERS="1",
            **ports,
        )
        code = run.wait()

    assert code == 78
    said = run.said()
    assert "feed can't run: Error: kraken has no symbol 'FOO/USD'" in said
    assert "starting it again" not in said
    assert "Traceback" not in said


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
