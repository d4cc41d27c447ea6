"""The client configurations in docs/clients.md."""

import json
import re
import shlex
from pathlib import Path

from app.answers.history_argument import parse_history
from app.core.settings import Settings

ROOT = Path(__file__).parent.parent.parent
TEXT = (ROOT / "docs" / "clients.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", TEXT, re.DOTALL | re.MULTILINE)


def test_every_json_block_names_one_server_that_can_be_started_or_reached() -> None:
    found = [json.loads(block) for block in blocks("json")]

    assert len(found) == 4
    for config in found:
        [servers] = config.values()
        [(name, server)] = servers.items()
        assert name == "orderflow"
        if "command" in server:
            assert server["command"].endswith("/.venv/bin/orderflow")
            assert server["args"] == ["mcp"]
            assert "cwd" not in server
            assert set(server["env"]) <= {"REDIS_HOST", "REDIS_PORT"}
        else:
            port = Settings.model_fields["mcp_port"].default
            assert server["url"] == f"http://127.0.0.1:{port}/mcp"


def test_every_shell_line_adds_the_server_to_claude_code() -> None:
    commands = [shlex.split(block) for block in blocks("sh")]

    assert [command[:3] for command in commands] == [["claude", "mcp", "add"]] * 2
    assert commands[0][-1].endswith("/mcp")
    assert commands[1][-2:] == ["/path/to/orderflow/.venv/bin/orderflow", "mcp"]


def test_every_history_it_shows_is_accepted() -> None:
    shown = re.search(r"exactly the last `history`: (.*?)\s\(seconds\)", TEXT, re.DOTALL)

    assert shown is not None
    histories = re.findall(r"`([^`]+)`", shown[1])
    assert len(histories) == 8
    assert [10 <= parse_history(text) <= 3600 for text in histories] == [True] * 8
