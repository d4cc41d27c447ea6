"""The live page in headless Chromium, in a small host, while a real store ticks."""

import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis

from app.core.clock import now_ms
from app.core.settings import Settings
from app.storage.tick_store import TickStore
from tests.outside.conftest import Node
from tests.processes import Start, wait_until

SCRIPT = Path(__file__).parent / "app_page.mjs"
LIGHT_INK, DARK_INK = "rgb(27, 31, 36)", "rgb(230, 233, 237)"


@pytest.fixture
def ticking(start: Start, settings: Settings, redis_client: redis.Redis) -> Iterator[None]:
    """Let a simulated SPY be quoted, and ticked each second."""
    start("app", "feed", "simulate", "--tickers", "SPY", "--backfill-seconds", "330")
    quotes = "orderflow:quotes:SPY"
    wait_until(lambda: redis_client.zcard(quotes) > 1000, "the past is there")
    over = threading.Event()
    store = TickStore(settings)

    def tick() -> None:
        while not over.is_set():
            store.run_tick("SPY", int(now_ms() // 1000 * 1000))
            redis_client.hset("orderflow:pulse", mapping={"fanout": now_ms(), "tick": now_ms()})
            over.wait(1 - now_ms() % 1000 / 1000)

    thread = threading.Thread(target=tick)
    thread.start()
    metrics = "orderflow:metrics:SPY:5min"
    wait_until(lambda: bool(redis_client.exists(metrics)), "the first tick")
    yield
    over.set()
    thread.join()


@pytest.mark.system
@pytest.mark.outside
@pytest.mark.usefixtures("ticking")
@pytest.mark.parametrize(("theme", "ink"), [("light", LIGHT_INK), ("dark", DARK_INK)])
def test_the_page_is_drawn_and_goes_on_live(  # noqa: PLR0913, PLR0917 - what it takes
    node: Node,
    node_modules: Path,
    chromium: Path,
    served: Callable[..., str],
    tmp_path: Path,
    theme: str,
    ink: str,
) -> None:
    address = served("mcp_app", "--http", "--port", "{port}")
    picture = tmp_path / f"live-{theme}.png"
    words = (str(node_modules), str(chromium), address, theme, str(picture))

    done = node(SCRIPT, *words, str(tmp_path / "profile"))

    assert done.returncode == 0, done.stderr[-3000:]
    seen = json.loads(done.stdout)
    assert seen["mimeType"] == "text/html;profile=mcp-app"
    assert seen["wrong"] == []
    assert seen["unknown"] == []
    assert seen["updates"] >= 4
    assert seen["pictures"] >= 4
    assert 200 < seen["height"] <= 500
    assert not seen["scrolls"]
    assert (seen["shapes"], seen["bars"]) == (3, 60)
    assert "SPY" in seen["said"]
    assert "NO NEW DATA" not in seen["said"]
    assert (seen["ink"], seen["background"]) == (ink, "rgba(0, 0, 0, 0)")
    assert picture.stat().st_size > 5000
