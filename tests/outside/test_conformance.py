"""The conformance suite against the shipped server with the suite's fixtures added."""

import re
from collections.abc import Callable

import pytest

from app.settings import Settings
from mcp_app.server import make_server
from tests.outside.conftest import Node
from tests.outside.everything import make_everything

SUITE = "@modelcontextprotocol/conformance/dist/index.js"


@pytest.mark.system
@pytest.mark.parametrize(("requirements", "least"), [("2025-11-25", 70), ("2026-07-28", 130)])
def test_every_scored_scenario_passes(
    node: Node, served: Callable[..., str], requirements: str, least: int
) -> None:
    address = served("tests.outside.everything", "{port}")

    done = node(SUITE, "server", "--url", address, "--requirements", requirements)

    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-1000:]
    passed = re.search(r"Total: (\d+) passed", done.stdout)
    assert passed is not None
    assert int(passed[1]) >= least


def test_what_the_suite_sees_is_the_shipped_server() -> None:
    ours, theirs = make_server(Settings()), make_everything(Settings())

    assert [kind.__qualname__ for kind in map(_kind, theirs.middleware)] == [
        kind.__qualname__ for kind in map(_kind, ours.middleware)
    ]
    mine, everything = ours._lowlevel_server, theirs._lowlevel_server
    assert set(mine._request_handlers) <= set(everything._request_handlers)
    assert set(everything._request_handlers) - set(mine._request_handlers) == {"logging/setLevel"}
    assert {tool.name for tool in ours._tool_manager.list_tools()} < {
        tool.name for tool in theirs._tool_manager.list_tools()
    }


def _kind(middleware: object) -> type:
    return middleware if hasattr(middleware, "__qualname__") else type(middleware)
