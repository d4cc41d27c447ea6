"""Requests with too much in them: refused in few words, while others are answered."""

import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.processes import Start, http_get, http_post
from tests.system.serving import HEADERS, HELLO, Served
from tests.timing import AssertWithin

pytestmark = pytest.mark.system

LONG = "x" * 200_000
WIDE = [1] * 90_000
NUMBERS = {"name": "compare_order_flow", "arguments": {"tickers": WIDE}}
REQUESTS: dict[str, tuple[str, dict[str, Any]]] = {
    "resource": ("resources/read", {"uri": f"orderflow://{LONG}/snapshot"}),
    "completion": (
        "completion/complete",
        {
            "ref": {"type": "ref/prompt", "name": "brief_ticker"},
            "argument": {"name": "tickers", "value": LONG},
        },
    ),
    "prompt": ("prompts/get", {"name": "brief_ticker", "arguments": {"ticker": LONG}}),
    "name of a tool": ("tools/call", {"name": LONG, "arguments": {}}),
    "name of a method": (LONG, {}),
    "cursor": ("tools/list", {"cursor": LONG}),
    "meta": ("tools/list", {"_meta": {"example.com/a": LONG}}),
    "meta of a call": (
        "tools/call",
        {"name": "list_tickers", "arguments": {}, "_meta": {"example.com/a": WIDE}},
    ),
    "many parameters": ("ping", {f"p{number}": 1 for number in range(10_000)}),
    "capabilities": ("initialize", HELLO | {"capabilities": {"experimental": {"a": {"b": LONG}}}}),
    "name of a client": ("initialize", HELLO | {"clientInfo": {"name": LONG, "version": "1"}}),
}


@pytest.fixture(scope="module")
def served(start_shared: Start) -> Served:
    return Served(start_shared)


def test_any_request_with_too_much_in_it_is_refused(served: Served) -> None:
    session = served.session()

    for kind, (method, params) in REQUESTS.items():
        found = served.post(method, params, None if method == "initialize" else session)
        assert "allowed are" in found.json()["error"]["message"], kind
        assert len(found.content) <= 1024, kind
    long_id = served.post("ping", {}, session, id=LONG)
    assert "an id of 200000 characters" in long_id.json()["error"]["message"]
    assert served.post("ping", {}, session).json()["result"] == {}


def test_refusals_hold_up_nobody_else(served: Served, assert_within: AssertWithin) -> None:
    session = served.session()
    seconds = []

    with ThreadPoolExecutor(24) as pool:
        calls = [
            pool.submit(served.post, "tools/call", NUMBERS, session, id=number)
            for number in range(24)
        ]
        while not all(one.done() for one in calls):
            began = time.monotonic()
            assert http_get(f"{served.address}/health").status_code == 200
            seconds.append(time.monotonic() - began)
            time.sleep(0.01)

    for call in calls:
        found = call.result()
        assert found.json()["result"]["isError"]
        assert len(found.content) <= 1024
    # One such call took two seconds of the event loop.
    assert_within(1, max(seconds))


@pytest.mark.parametrize(
    "message",
    [
        [1] * 100_000,
        [{"jsonrpc": "2.0", "id": number, "method": "ping"} for number in range(4000)],
        {"jsonrpc": LONG, "id": LONG, "method": WIDE},
        {LONG: LONG},
        LONG,
    ],
    ids=["numbers", "batch", "fields", "a name", "a text"],
)
def test_what_is_no_message_is_refused_in_few_words(served: Served, message: object) -> None:
    session = {"Mcp-Session-Id": served.session()}

    found = http_post(f"{served.address}/mcp", json=message, headers=HEADERS | session)

    assert found.status_code in {400, 413}
    assert len(found.content) <= 1024
