"""A flood of charts: the first ones are drawn, the others refused at once, nothing lingers."""

import base64
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import redis

from tests.key_writer import KeyWriter
from tests.mcp_app.test_tools import bars_of
from tests.processes import Start, wait_until
from tests.system.serving import Served
from tests.system.serving_slowly import DEADLINE_SECONDS
from tests.timing import AssertWithin

pytestmark = pytest.mark.system

CLIENTS = 30
CHARTS = 90
# The shipped server with a longer deadline: a busy machine draws several times slower.
SERVER = "tests.system.serving_slowly"


@pytest.fixture
def served(start: Start, redis_client: redis.Redis) -> Served:
    writer = KeyWriter(redis_client)
    writer.healthy_ticker()
    writer.bars(bars_of(writer.as_of, 3600))
    return Served(start, module=SERVER, ORDERFLOW_MCP_REQUESTS_PER_MINUTE="100000")


class Chart:
    """A chart as a client was answered: the whole answer, and how long it took."""

    def __init__(self, served: Served, session: str, number: int, history: str) -> None:
        began = time.monotonic()
        arguments = {"ticker": "SPY", "history": history}
        asked = {"name": "order_flow_chart", "arguments": arguments}
        response = served.post("tools/call", asked, session, id=number)
        found = response.json()
        assert "result" in found, (response.status_code, response.text[:300])
        self.seconds = time.monotonic() - began
        self.result: dict[str, Any] = found["result"]
        self.is_refused = bool(self.result.get("isError"))
        self.text = str(self.result["content"][0]["text"])

    def png(self) -> bytes:
        """Return the picture."""
        return base64.b64decode(self.result["content"][1]["data"])


def test_the_first_charts_are_drawn_and_the_others_refused_at_once(
    served: Served, assert_within: AssertWithin
) -> None:
    session = served.session()
    wait_until(lambda: not Chart(served, session, -1, "1h").is_refused, "a chart")

    with ThreadPoolExecutor(CLIENTS) as pool:
        # No two are equal.
        asked = [
            pool.submit(Chart, served, session, number, f"{3600 - number}s")
            for number in range(CHARTS)
        ]
        most_threads = 0
        while not all(one.done() for one in asked):
            most_threads = max(most_threads, served.threads())
            time.sleep(0.05)
    charts = [one.result() for one in asked]
    drawn = [one for one in charts if not one.is_refused]
    began = time.monotonic()
    wait_until(lambda: not Chart(served, session, CHARTS, "59min").is_refused, "a chart again")

    # Nothing is left that is drawn for nobody.
    assert_within(DEADLINE_SECONDS, time.monotonic() - began)
    assert drawn
    assert all(one.png().startswith(b"\x89PNG") for one in drawn)
    refused = [one for one in charts if one.is_refused]
    assert refused
    for one in refused:
        assert "try again in" in one.text or "ask again" in one.text
    assert sum("try again in" in one.text for one in refused) > len(refused) / 2
    assert_within(DEADLINE_SECONDS + 0.5, max(one.seconds for one in charts))
    assert most_threads < 40


def test_equal_charts_of_a_second_are_drawn_once(served: Served) -> None:
    session = served.session()
    wait_until(lambda: not Chart(served, session, -1, "1h").is_refused, "a chart")

    began = time.time()
    with ThreadPoolExecutor(CLIENTS) as pool:
        asked = [pool.submit(Chart, served, session, number, "59min") for number in range(CHARTS)]
    seconds = int(time.time()) - int(began) + 1
    charts = [one.result() for one in asked]

    drawn = {one.result["structuredContent"]["answer_id"] for one in charts if not one.is_refused}
    assert not [one.text for one in charts if one.is_refused]
    assert 1 <= len(drawn) <= seconds
