"""What tests of the MCP server share."""

import pytest

from mcp_app import deadlines
from tests.processes import BOUND_SECONDS


@pytest.fixture(autouse=True)
def _long_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a question take as long as a busy machine needs; test_deadlines.py tests the deadline."""
    monkeypatch.setattr(deadlines, "DEADLINE_SECONDS", BOUND_SECONDS)
