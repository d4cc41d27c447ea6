"""The desk in headless Chromium: what a person sees, by eye, keyboard and screen reader."""

import json
import os
import re
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

from app.core.clock import now_ms
from app.core.settings import Settings
from app.feeds.simulation.profiles import profile_of
from app.feeds.simulation.run import simulate
from app.storage import keys
from app.storage.tick_store import TickStore
from tests.kept_files import EngineRun, keep
from tests.outside.conftest import Node, is_listening
from tests.processes import Start, free_port, wait_until

pytestmark = [pytest.mark.system, pytest.mark.outside]

SCRIPT = Path(__file__).parent / "desk_page.mjs"
TICKERS = ("SPY", "AAPL", "NVDA", "TSLA")
LIGHT, DARK = "rgb(252, 253, 254)", "rgb(20, 24, 28)"
DAY_MS = 86_400_000
CLOCK = r"\d\d:\d\d"
LOOKING = rf"Looking at \w{{3}}, \d\d \w{{3}} \d{{4}} {CLOCK}.(\w.* )?{CLOCK} UTC\. Live: press n\."
TOKEN = "a-token-of-thirty-two-characters!"  # noqa: S105 - of a server that lives for a test
Visit = Callable[..., dict[str, Any]]


@pytest.fixture
def ticking(start: Start, settings: Settings, redis_client: redis.Redis) -> Iterator[None]:
    """Let simulated tickers be quoted, and ticked each second."""
    start("app", "feed", "simulate", "--tickers", ",".join(TICKERS), "--backfill-seconds", "1500")
    wait_until(lambda: redis_client.zcard("orderflow:quotes:TSLA") > 100, "the past is there")
    over = threading.Event()
    store = TickStore(settings)

    def tick() -> None:
        while not over.is_set():
            now = now_ms()
            redis_client.zadd(keys.TICKERS, dict.fromkeys(TICKERS, now))
            for ticker in TICKERS:
                store.run_tick(ticker, int(now // 1000 * 1000))
            redis_client.hset(keys.HEARTBEAT, mapping={"fanout": now_ms(), "tick": now_ms()})
            over.wait(1 - now_ms() % 1000 / 1000)

    thread = threading.Thread(target=tick)
    thread.start()

    def is_up_to_date(ticker: str) -> bool:
        as_of: Any = redis_client.hget(f"orderflow:metrics:{ticker}:5min", "as_of")
        return now_ms() - float(as_of or 0) < 5000

    wait_until(lambda: all(map(is_up_to_date, TICKERS)), "the past is folded")
    yield
    over.set()
    thread.join()


@pytest.fixture
def visit(node: Node, node_modules: Path, chromium: Path, tmp_path: Path) -> Visit:
    """Give a way to let a scenario run against a server; returns what was seen."""

    def run(address: str, scenario: str, *more: str) -> dict[str, Any]:
        origin = address.removesuffix("/mcp")
        words = (str(node_modules), str(chromium), origin, scenario, str(tmp_path))
        done = node(SCRIPT, *words, *more)
        assert done.returncode == 0, done.stderr[-3000:]
        seen: dict[str, Any] = json.loads(done.stdout)
        assert seen["wrong"] == []
        assert seen["origins"] == [origin]
        return seen

    return run


@pytest.fixture
def desk(served: Callable[..., str], ticking: None) -> str:  # noqa: ARG001 - runs meanwhile
    """Give the address of a server with simulated tickers."""
    return served("mcp_app", "--http", "--port", "{port}")


def test_the_numbers_are_those_that_an_agent_is_told(desk: str, visit: Visit) -> None:
    pairs = visit(desk, "values")["pairs"]

    assert len(pairs) >= 4
    for pair in pairs:
        page, answer = pair["page"], pair["answer"]
        metrics, numbers = answer["metrics"], page["numbers"]
        assert page["ticker"] == "SPY"
        assert page["headline"] == answer["headline"]
        assert shown_numbers(page["bid"]) == [metrics["bid_price"], metrics["bid_size"]]
        assert shown_numbers(page["ask"]) == [metrics["ask_price"], metrics["ask_size"]]
        compared = [name for name in numbers if name in metrics]
        assert len(compared) >= 8
        for name in compared:
            assert shown_numbers(numbers[name][0]) == [metrics[name]], name
        ranked = {name: rank for name, rank in answer["ranks"].items() if name in numbers}
        assert ranked
        for name, rank in ranked.items():
            assert numbers[name][1].endswith(percent(rank)), name
        told = [event["words"] for event in answer["events"]]
        assert told == [words for words in page["events"] if words in told]


def shown_numbers(text: str) -> list[float]:
    """Return the numbers of a text, without commas and units.

    >>> shown_numbers("588.98, 5,287")
    [588.98, 5287.0]
    """
    return [float(part) for part in re.findall(r"-?\d[\d.]*(?:e-?\d+)?", text.replace(",", ""))]


def percent(rank: float) -> str:
    """Return a rank as an answer's text has it."""
    return f"p{min(99, max(1, round(100 * rank))):02}"


def test_markup_in_any_text_stays_text(desk: str, visit: Visit) -> None:
    seen = visit(desk, "injected")

    assert seen["hacked"] is None
    assert seen["elements"] == 0
    assert '<img src="x" onerror="window.hacked=1">' in seen["headline"]
    assert "<script>" in seen["why"]


def test_all_can_be_done_by_keyboard(desk: str, visit: Visit) -> None:
    seen = visit(desk, "keyboard")

    assert (seen["search"], seen["found"], seen["chosen"]) == ("search", 1, "NVDA")
    assert seen["second"] == seen["secondInList"] == seen["byList"]
    assert seen["before"] == seen["firstInList"]
    assert seen["event"] in seen["shownEvents"]
    assert seen["event"] in seen["evidence"]
    assert seen["evidenceClosed"]
    assert seen["back"] == seen["event"]
    assert "UTC · bid" in seen["readout"]
    assert seen["span"] == "900"
    assert seen["answers"]
    assert seen["health"]
    assert seen["keys"]
    assert seen["dressed"] == {"theme": "light", "sides": "green-red"}
    assert seen["paused"] == "paused"
    assert seen["offStaysShut"]


def test_tab_comes_to_everything_in_few_stops_that_are_seen(desk: str, visit: Visit) -> None:
    stops = visit(desk, "tab")["stops"]

    names = [stop["name"] for stop in stops]
    assert {"health-button", "search", "chart"} <= {*names}
    assert {*TICKERS} & {*names}
    assert len(stops) < 20
    assert {stop["outline"] for stop in stops} == {"solid"}


def test_it_can_be_read_in_both_themes_and_on_a_phone(
    desk: str, visit: Visit, tmp_path: Path
) -> None:
    looks = visit(desk, "looks")["looks"]

    assert {name: look["violations"] for name, look in looks.items() if look["violations"]} == {}
    assert [name for name, look in looks.items() if look["tooWide"]] == []
    assert looks["light"]["paper"] == LIGHT
    assert looks["dark"]["paper"] == DARK
    for name in ("light", "dark", "phone"):
        assert looks[name]["colours"] > 100, name
        assert looks[name]["twin"].startswith("SPY, 5 minutes up to")
        assert (tmp_path / f"{name}.png").stat().st_size > 20_000


@pytest.mark.usefixtures("ticking")
def test_a_person_looks_back_to_what_is_kept(start: Start, visit: Visit, tmp_path: Path) -> None:
    keep(tmp_path / "history", a_quarter_of_an_hour(now_ms() - DAY_MS))
    port = free_port()
    start(*("mcp_app", "--http", "--port", str(port)), ORDERFLOW_HISTORY=str(tmp_path / "history"))
    wait_until(lambda: is_listening(port), "the server listens")

    seen = visit(f"http://127.0.0.1:{port}/mcp", "past")

    live, back, day, nothing = (seen[name] for name in ("live", "back", "day", "nothing"))
    assert not live["isShown"]
    assert re.fullmatch(LOOKING, back["said"])
    assert -5000 < live["asOf"] - back["asOf"] - 600_000 < 60_000
    assert seen["later"]["asOf"] == back["asOf"]
    assert back["span"] == "900"
    assert back["twin"].startswith("SPY, 15 minutes up to")
    assert seen["later"]["board"] == "fresh"
    assert not seen["on"]["isShown"]
    assert seen["on"]["span"] == live["span"]
    assert re.fullmatch(LOOKING, day["said"]), day["note"]
    assert DAY_MS - 60_000 < now_ms() - day["asOf"] < DAY_MS + 300_000
    assert day["events"] > 0
    assert "from the history" in day["note"]
    assert "UTC · bid 5" in seen["readout"]
    assert "from the history" in seen["evidence"]
    assert not seen["tooWide"]
    assert nothing["said"].startswith("Nothing to show of")
    assert "kept:" in nothing["note"]
    assert nothing["events"] == 0
    assert seen["now"]["asOf"] > seen["on"]["asOf"]


def a_quarter_of_an_hour(end_ms: float) -> EngineRun:
    """Return what the analysis finds in a quarter of an hour that ends after a moment."""
    start_ms = end_ms // 1000 * 1000 - 900_000
    made = simulate("SPY", 7, int(start_ms), 1200, profile_of("SPY"))
    return EngineRun([record for second, _ in made for record in second], "SPY")


def test_nothing_moves_under_the_pointer_and_a_hidden_tab_asks_nothing(
    desk: str, visit: Visit
) -> None:
    seen = visit(desk, "calm")

    assert {*seen["held"]} == {*TICKERS}
    assert seen["under"] == [seen["held"]] * len(seen["under"])
    assert "the order is held" in seen["note"]
    assert seen["orders"] > 1
    assert seen["hidden"] == 0
    assert seen["after"] > 0


@pytest.mark.usefixtures("ticking")
def test_a_person_logs_in_by_a_token(start: Start, visit: Visit) -> None:
    port = free_port()
    start("mcp_app", "--http", "--port", str(port), ORDERFLOW_MCP_TOKEN=TOKEN)
    wait_until(lambda: is_listening(port), "the server listens")

    seen = visit(f"http://127.0.0.1:{port}/mcp", "login", TOKEN)

    assert seen["asked"] == seen["afterLogout"] == "/desk/login"
    assert seen["refused"] == "This token is not known."
    assert seen["shown"] == "/desk"
    assert seen["cookiesForScripts"] == ""


@pytest.mark.usefixtures("ticking")
def test_it_says_that_the_connection_is_lost_and_comes_back_by_itself(
    node_modules: Path, chromium: Path, start: Start, tmp_path: Path
) -> None:
    port = free_port()
    command = ("mcp_app", "--http", "--port", str(port))
    server = start(*command)
    wait_until(lambda: is_listening(port), "the server listens")
    with watched_connection(node_modules, chromium, port, tmp_path) as states:
        next_state(states, state="connected", fresh="fresh")
        server.end(signal.SIGKILL)
        lost = next_state(states, state="lost", fresh="old")
        assert "no connection" in lost["said"]
        assert "OLD DATA" in lost["freshness"]
        start(*command)
        back = next_state(states, state="connected", fresh="fresh")
        assert back["said"] == "connected"
        assert "OLD" not in back["freshness"]


def next_state(states: Any, **wanted: str) -> dict[str, Any]:
    """Read lines until the page is as wanted."""
    while True:
        line = states.readline()
        assert line, "the page is gone"
        state: dict[str, Any] = json.loads(line)
        if wanted.items() <= state.items():
            return state


class watched_connection:  # noqa: N801 - used as a function
    """Run the page until the end of a block; gives the lines that it prints."""

    def __init__(self, node_modules: Path, chromium: Path, port: int, folder: Path) -> None:
        words = (str(chromium), f"http://127.0.0.1:{port}", "restart", str(folder))
        self._process = subprocess.Popen(
            [str(node_modules / ".bin" / "node"), str(SCRIPT), str(node_modules), *words],
            stdout=subprocess.PIPE,
            text=True,
            process_group=0,
        )

    def __enter__(self) -> Any:
        return self._process.stdout

    def __exit__(self, *_: object) -> None:
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.communicate()
