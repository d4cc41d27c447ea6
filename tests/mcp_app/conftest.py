"""What tests of the MCP server share."""

from collections.abc import Iterator
from functools import cache

import pytest

from mcp_app import deadlines, server
from tests.processes import BOUND_SECONDS


@pytest.fixture(autouse=True)
def _long_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a question take as long as a busy machine needs; test_deadlines.py tests the deadline."""
    monkeypatch.setattr(deadlines, "DEADLINE_SECONDS", BOUND_SECONDS)


@pytest.fixture(scope="module", autouse=True)
def _tools_made_once() -> Iterator[None]:
    """Let a module's servers share the tools: their schemas are most of the work of making one."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(server, "tools", cache(server.tools))
        yield
