"""`orderflow answers show` prints an answer as it was sent, byte for byte."""

import json

import pytest
from click.testing import CliRunner, Result

from app.cli import main
from app.core import settings as settings_module
from app.core.settings import Settings
from tests.key_writer import KeyWriter
from tests.mcp_app.agents import call, text_of


@pytest.fixture
def show(settings: Settings, monkeypatch: pytest.MonkeyPatch):
    """Give a way to run the command against the private Redis."""
    monkeypatch.setattr("app.cli.show_answer.settings", lambda: settings)
    settings_module.settings.cache_clear()
    return lambda *words: CliRunner().invoke(main, ["answers", "show", *words])


def test_an_answer_is_shown_as_it_was_sent(writer: KeyWriter, settings: Settings, show) -> None:
    writer.healthy_ticker()
    result = call(settings, "analyze_order_flow_tool", ticker="SPY")
    assert result.structured_content is not None
    answer_id = result.structured_content["answer_id"]

    text: Result = show(answer_id)
    structured: Result = show(answer_id, "--json")

    assert text.stdout_bytes == text_of(result).encode()
    assert json.loads(structured.stdout_bytes) == result.structured_content
    assert b'": ' not in structured.stdout_bytes


@pytest.mark.parametrize("answer_id", ["aaaaaaaa", "newest", "*", "../x"])
def test_an_answer_that_is_not_kept_is_one_line_and_exit_code_1(show, answer_id: str) -> None:
    result: Result = show(answer_id)

    assert result.exit_code == 1
    assert result.stderr.startswith(f"orderflow: no answer {answer_id!r} is kept")
    assert result.stderr.count("\n") == 1
