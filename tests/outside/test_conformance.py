"""The conformance suite against the shipped server with the suite's fixtures added."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from starlette.routing import Route

from app.core.settings import Settings
from mcp_app.host_check import CheckHosts
from mcp_app.http import http_app
from mcp_app.server import make_server
from tests.outside.conftest import Node
from tests.outside.everything import HOST, app, make_everything

SUITE = "@modelcontextprotocol/conformance/dist/index.js"
# What the suite runs beside the requirements: extensions that are not served, drafts.
UNSCORED = {"extension", "pending", "added-after-release"}


def run_suite(node: Node, address: str, requirements: str) -> str:
    done = node(SUITE, "server", "--url", address, "--requirements", requirements)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-1000:]
    return done.stdout


@pytest.mark.system
@pytest.mark.outside
def test_everything_of_2025_passes(node: Node, served: Callable[..., str]) -> None:
    said = run_suite(node, served("tests.outside.everything", "{port}"), "2025-11-25")

    assert "Total: 84 passed, 0 failed" in said


@pytest.mark.system
@pytest.mark.outside
def test_every_scored_scenario_of_2026_passes(node: Node, served: Callable[..., str]) -> None:
    said = run_suite(node, served("tests.outside.everything", "{port}"), "2026-07-28")

    results, unscored = said.split("\nTotal: ")[0], said.split("\nNot scored for")[1]
    failed = set(re.findall(r"^✗ ([\w-]+):", results, re.MULTILINE))
    excused = dict(re.findall(r"^ +✗ ([\w-]+) \(([\w-]+)\)", unscored, re.MULTILINE))
    assert len(re.findall(r"^✓ ", results, re.MULTILINE)) >= 37
    assert failed == set(excused)
    assert set(excused.values()) <= UNSCORED


def test_what_the_suite_sees_has_the_shipped_middleware_and_handlers() -> None:
    ours, theirs = make_server(Settings()), make_everything(Settings())

    assert [kind.__qualname__ for kind in map(_kind, theirs.middleware)] == [
        kind.__qualname__ for kind in map(_kind, ours.middleware)
    ]
    assert any("reject_unknown" in _kind(kind).__qualname__ for kind in ours.middleware)
    mine, everything = _handlers(ours), _handlers(theirs)
    assert set(everything) - set(mine) == {"logging/setLevel"}
    assert {name: everything[name] for name in mine} == mine
    assert {tool.name for tool in ours._tool_manager.list_tools()} < {
        tool.name for tool in theirs._tool_manager.list_tools()
    }


def test_what_the_suite_sees_has_the_shipped_security_and_routes() -> None:
    server = make_server(Settings())
    ours, theirs = http_app(server, HOST), app(Settings())

    assert _manager(theirs).security_settings == _manager(ours).security_settings
    # The SDK's own check is off: this one covers every path.
    assert CheckHosts in [one.cls for one in ours.user_middleware]
    assert _manager(theirs).stateless is _manager(ours).stateless is False
    assert _routes(theirs) == _routes(ours)
    assert [one.cls for one in theirs.user_middleware] == [one.cls for one in ours.user_middleware]


def _kind(middleware: object) -> Any:
    return middleware if hasattr(middleware, "__qualname__") else type(middleware)


def _handlers(server: Any) -> dict[str, str]:
    """Name what answers each method."""
    found = server._lowlevel_server._request_handlers
    return {method: _kind(entry.handler).__qualname__ for method, entry in found.items()}


def _manager(made: Any) -> Any:
    [route] = [route for route in made.routes if route.path == "/mcp"]
    return route.endpoint.session_manager


def _routes(made: Any) -> list[tuple[str, Any]]:
    return [(route.path, route.methods) for route in made.routes if isinstance(route, Route)]
