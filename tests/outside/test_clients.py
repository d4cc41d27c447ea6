"""Clients that others wrote, each in an environment of its own, call every tool."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.key_writer import KeyWriter
from tests.mcp_app.agents import CALLS
from tests.outside.conftest import CLIENTS
from tests.processes import BOUND_SECONDS

SCRIPTS = Path(__file__).parent / "clients"


@pytest.mark.system
@pytest.mark.outside
@pytest.mark.parametrize("client", CLIENTS)
def test_every_tool_answers_the_client(
    client: str,
    client_python: Callable[[str], Path],
    healthy: KeyWriter,
    served: Callable[..., str],
) -> None:
    assert healthy.as_of
    python = client_python(client)
    address = served("mcp_app", "--http", "--port", "{port}")
    command = [str(python), str(SCRIPTS / f"ask_{client}.py"), address, json.dumps(CALLS)]

    done = subprocess.run(
        command, capture_output=True, text=True, timeout=BOUND_SECONDS, check=False
    )

    assert done.returncode == 0, done.stderr[-3000:]
    said = json.loads(done.stdout.splitlines()[-1])
    assert set(said["answers"]) == set(CALLS)
    for tool, answer in said["answers"].items():
        assert answer["text"], tool
        assert answer["json"], tool
    assert "NONE: no record of this ticker" in said["wrong"]
