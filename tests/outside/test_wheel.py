"""The lines of docs/upgrade.md by which a release is installed, tried with a wheel made here."""

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.contract.documents import blocks, text_of
from tests.outside.conftest import INSTALL_SECONDS
from tests.processes import ROOT, Environment

pytestmark = [pytest.mark.outside, pytest.mark.usefixtures("unhurried")]

HELLO = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {
        "protocolVersion": "2025-11-25",
        "capabilities": {},
        "clientInfo": {"name": "test", "version": "1"},
    },
}
Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel that runs anywhere."""
    home = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", home, ROOT],
        env=os.environ | {"ORDERFLOW_COMPILE": "0"},
        check=True,
    )
    [built] = home.glob("*.whl")
    return built


@pytest.fixture
def run(environment: Environment, tmp_path: Path) -> Run:
    """Give a way to run a program as a user would: in another folder, without our sources."""
    own = {
        "PIPX_HOME": str(tmp_path / "pipx"),
        "PIPX_BIN_DIR": str(tmp_path / "bin"),
        "UV_CACHE_DIR": str(tmp_path / "uv"),
        "UV_TOOL_DIR": str(tmp_path / "tools"),
        "UV_PYTHON": sys.executable,
    }
    clean = {name: text for name, text in environment.items() if name != "PYTHONPATH"} | own

    def run_one(*command: str | Path, said: str = "") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command, cwd=tmp_path, env=clean, input=said, capture_output=True, text=True,
            timeout=3 * INSTALL_SECONDS, check=False,
        )  # fmt: skip

    return run_one


def documented(program: str) -> list[list[str]]:
    """Return the words after the wheel of each line that begins with a program."""
    lines = [
        line for block in blocks(text_of("docs/upgrade.md"), "sh") for line in block.split("\n")
    ]
    found = [shlex.split(line) for line in lines if line.startswith(f"{program} ")]
    return [
        words[words.index(next(w for w in words if w.endswith(".whl"))) + 1 :] for words in found
    ]


@pytest.mark.usefixtures("redis_client")
def test_pipx_installs_the_command(
    wheel: Path, run: Run, client_python: Callable[[str], Path], tmp_path: Path
) -> None:
    assert documented("pipx") == [[]]
    pipx = client_python("pipx").with_name("pipx")

    installed = run(pipx, "install", "--python", sys.executable, wheel)

    assert installed.returncode == 0, installed.stderr
    version = run(tmp_path / "bin" / "orderflow", "--version")
    assert version.stdout == f"orderflow {wheel.name.split('-')[1]}\n"
    status = run(tmp_path / "bin" / "orderflow", "status")
    assert status.stdout.startswith("redis: "), status.stderr
    assert "Traceback" not in status.stderr


@pytest.mark.usefixtures("redis_client")
def test_uvx_runs_the_command_and_the_server(
    wheel: Path, run: Run, client_python: Callable[[str], Path]
) -> None:
    uvx = client_python("uv").with_name("uvx")
    assert documented("uvx") == [["orderflow", "ask", "SPY"], ["orderflow", "mcp"]]

    asked = run(uvx, "--from", wheel, "orderflow", "ask", "SPY")
    served = run(uvx, "--from", wheel, "orderflow", "mcp", said=json.dumps(HELLO) + "\n")

    assert "SPY: " in asked.stderr, asked.stderr
    answer = json.loads(served.stdout.splitlines()[0])
    assert answer["result"]["serverInfo"]["name"], served.stderr
