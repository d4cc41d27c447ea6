"""What tests of the MCP server share."""

from pathlib import Path

import pytest
import redis

from app.core.settings import Settings
from mcp_app import deadlines
from tests.mcp_app.desk_client import Desk, DeskClient, page_folder
from tests.processes import BOUND_SECONDS


@pytest.fixture(autouse=True)
def _long_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a question take as long as a busy machine needs; test_deadlines.py tests the deadline."""
    monkeypatch.setattr(deadlines, "DEADLINE_SECONDS", BOUND_SECONDS)


@pytest.fixture
def desk(
    settings: Settings,
    redis_client: redis.Redis,  # noqa: ARG001 - empty at the start
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Desk:
    """Give a way to open the desk, with or without a token."""
    page_folder(tmp_path, monkeypatch)
    return lambda token=None, other=None: DeskClient(other or settings, token)
