"""`orderflow ask` and `orderflow status`, against keys written by hand."""

import json
import re

import pytest
import redis
from click.testing import CliRunner, Result

from app.cli import main
from app.core import settings as settings_module
from app.core.settings import Settings
from app.core.tickers import ALLOWED
from tests.key_writer import KeyWriter


@pytest.fixture
def run(settings: Settings, monkeypatch: pytest.MonkeyPatch):
    """Give a way to run `orderflow` in this process, against the private Redis."""
    settings_module.settings.cache_clear()
    monkeypatch.setenv("REDIS_PORT", str(settings.redis_port))

    def orderflow(*arguments: str) -> Result:
        return CliRunner().invoke(main, arguments)

    yield orderflow
    settings_module.settings.cache_clear()


def test_asking_prints_the_text_of_an_answer(writer: KeyWriter, run) -> None:
    writer.healthy_ticker()

    result = run("ask", "SPY", "--history", "1m")

    assert result.exit_code == 0
    first, second, *_ = result.output.splitlines()
    assert first.startswith("SPY: bid 585.3..585.31: absorption")
    assert second.startswith("last 60 s, covered 60 s, as of ")


def test_asking_for_json_prints_the_structured_answer(writer: KeyWriter, run) -> None:
    writer.healthy_ticker()

    answer = json.loads(run("ask", "SPY", "--json").output)

    assert (answer["ticker"], answer["as_of"]) == ("SPY", writer.as_of)


def test_asking_takes_the_detail_and_a_limit(writer: KeyWriter, run) -> None:
    writer.healthy_ticker()

    brief, one = run("ask", "SPY", "--detail", "brief"), run("ask", "SPY", "--limit", "1")

    assert "\nopen: absorption bid\n" in brief.output
    assert "\nevents: 1 shown, 1 left out (" in one.output


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (
            ("ask", "NONE"),
            "orderflow: NONE: no record of this ticker in Redis; no ticker is active",
        ),
        (("ask", "A B"), "orderflow: ticker 'A B' is not allowed"),
        (("ask", "SPY", "--history", "x"), "orderflow: history 'x' is not understood"),
    ],
)
@pytest.mark.usefixtures("redis_client")
def test_no_answer_is_one_line_and_exit_code_1(run, arguments, said: str) -> None:
    result = run(*arguments)

    assert result.exit_code == 1
    assert result.stdout == ""
    assert result.stderr.startswith(said)
    assert result.stderr.count("\n") == 1


def test_a_healthy_status_passes_the_check(writer: KeyWriter, run) -> None:
    writer.healthy_ticker()

    result = run("status", "--check")

    assert result.exit_code == 0
    assert "tickers: 1 active, 1 with a fresh tick" in result.output
    assert "TROUBLE" not in result.output


def test_what_is_wrong_is_named_and_fails_the_check(
    writer: KeyWriter, run, redis_client: redis.Redis
) -> None:
    writer.quote()
    writer.discovered("SPY")
    writer.tick(age_seconds=30)
    writer.failures()
    redis_client.hset("orderflow:counters", mapping={"ticks_done": 12, "rejected:not_json": 3})
    redis_client.zadd("orderflow:quotes:OLD", {"{}": writer.now / 1000})
    redis_client.zadd("orderflow:trades:BTC/USDT", {"{}": writer.now / 1000})
    redis_client.zadd("orderflow:quotes:US", {"{}": writer.now * 1e3, "early": writer.now})
    redis_client.zadd("orderflow:quotes:NS", {"{}": writer.now * 1e6})
    redis_client.zadd("orderflow:trades:NS", {"{}": writer.now * 1e6})
    redis_client.zadd("orderflow:trades:INF", {"{}": "inf"})
    redis_client.zadd("orderflow:quotes:AHEAD", {"{}": writer.now + 3_600_000})

    result = run("status", "--check")

    assert result.exit_code == 1
    assert "ticks_done: 12\n" in result.output
    assert "rejected:not_json: 3\n" in result.output
    assert re.search(r"failed ticks of SPY: 7, last .* s ago, ValueError", result.output)
    troubles = re.findall(r"TROUBLE: (.*)", result.output)
    assert troubles == [
        "fan-out never seen: start `celery -A tasks beat` and `celery -A tasks worker`",
        "no fresh tick of SPY",
        "ticks fail of SPY",
        (
            "stamped in seconds, not milliseconds, and left out: "
            "orderflow:quotes:OLD, orderflow:trades:BTC/USDT"
        ),
        "stamped in microseconds, not milliseconds, and left out: orderflow:quotes:US",
        (
            "stamped in nanoseconds, not milliseconds, and left out: "
            "orderflow:quotes:NS, orderflow:trades:NS"
        ),
        "stamped in no known unit, not milliseconds, and left out: orderflow:trades:INF",
        "stamped ahead of the clock, and not read before: orderflow:quotes:AHEAD",
    ]


def test_a_status_says_how_many_new_tickers_wait_and_names_the_first(
    writer: KeyWriter, run, redis_client: redis.Redis
) -> None:
    writer.healthy_ticker()
    waiting = {f"NEW{number:05}": writer.now + number for number in range(20_000)}
    redis_client.zadd("orderflow:waiting", waiting | {b"\xff": writer.now - 1})

    result = run("status", "--check")

    first = "NEW00000, NEW00001, NEW00002, NEW00003"
    assert result.exit_code == 1
    assert f"TROUBLE: new tickers wait to enter: {first} and 19997 more" in result.output
    assert len(result.output) < 2000
    assert json.loads(run("status", "--json").output)["waiting"]["number"] == 20_001


def test_a_status_is_printed_for_programs_too(writer: KeyWriter, run) -> None:
    writer.healthy_ticker()

    status = json.loads(run("status", "--json").output)

    assert (status["active"], status["behind"], status["troubles"]) == (1, [], [])


def test_every_subcommand_can_be_loaded(run) -> None:
    result = run("--help")

    assert result.exit_code == 0
    assert re.findall(r"^  (\w+)  ", result.output, re.MULTILINE) == [
        "analyze",
        "answers",
        "ask",
        "capacity",
        "events",
        "feed",
        "figures",
        "history",
        "scorecard",
        "status",
        "top",
        "watch",
    ]


ODD_NAMES = ["A B", "-X", ":X", "x" * 33, "A%", "{SPY}", "É", "SPY  241220C00450000", "A\x1b[31mB"]


@pytest.mark.parametrize("kind", ["quotes", "trades"])
@pytest.mark.parametrize("name", ODD_NAMES)
def test_a_name_that_is_no_ticker_is_named_with_what_is_allowed(
    writer: KeyWriter, run, redis_client: redis.Redis, name: str, kind: str
) -> None:
    writer.healthy_ticker()
    redis_client.zadd(f"orderflow:{kind}:{name}", {"{}": writer.now})

    result = run("status", "--check")

    assert result.exit_code == 1
    [trouble] = re.findall(r"TROUBLE: (.*)", result.output)
    written = f"orderflow:{kind}:{name}"
    assert trouble.startswith(f"names that are no tickers, and left alone: {written!a}; ")
    assert trouble.endswith("a ticker is " + ALLOWED)
    assert trouble.isprintable()


def test_the_first_of_many_names_that_are_no_tickers_are_named(
    writer: KeyWriter, run, redis_client: redis.Redis
) -> None:
    writer.healthy_ticker()
    for number in range(9):
        redis_client.zadd(f"orderflow:quotes:bad {number}", {"{}": writer.now})
    redis_client.set(b"orderflow:quotes:\xff" + b"x" * 5000, "no sorted set")

    status = json.loads(run("status", "--json").output)

    assert len(status["not_tickers"]) == 10
    [trouble] = status["troubles"]
    assert "'orderflow:quotes:bad 4' and 5 more; a ticker is" in trouble
    assert "orderflow:quotes: and 5001 characters" in status["not_tickers"]
    assert len(trouble) < 500


@pytest.mark.parametrize("name", ["WFC+", "BAC-I*", "^SPX", "ES=F", "SPY   241220C00450000"])
def test_a_name_that_is_a_ticker_is_no_trouble(writer: KeyWriter, run, name: str) -> None:
    writer.healthy_ticker()
    writer.quote(name)

    result = run("status", "--check")

    assert result.exit_code == 0, result.output
