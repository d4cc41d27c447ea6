"""Every tool from the Inspector's command line, as a client of 2025 and of 2026."""

import json
import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.key_writer import KeyWriter
from tests.mcp_app.agents import CALLS
from tests.outside.conftest import Node

INSPECTOR = ".bin/mcp-inspector"
SHIPPED = ("mcp_app", "--http", "--port", "{port}")


@pytest.mark.system
@pytest.mark.outside
@pytest.mark.usefixtures("healthy")
@pytest.mark.parametrize("era", ["legacy", "modern"])
def test_every_tool_answers_the_inspector(node: Node, served: Callable[..., str], era: str) -> None:
    address = served(*SHIPPED)
    common = ("--cli", address, "--transport", "http", "--protocol-era", era)

    def asked(tool: str) -> subprocess.CompletedProcess[str]:
        given = [
            word
            for name, value in CALLS[tool].items()
            for word in ("--tool-arg", f"{name}={_said(value)}")
        ]
        return node(INSPECTOR, *common, "--method", "tools/call", "--tool-name", tool, *given)

    # Each starts a node of its own: two at once take little more than half the time.
    with ThreadPoolExecutor(2) as pool:
        answers = dict(zip(CALLS, pool.map(asked, CALLS), strict=True))

    for tool, done in answers.items():
        assert done.returncode == 0, (tool, done.stdout[-500:], done.stderr[-500:])
        assert json.loads(done.stdout)["structuredContent"], tool


@pytest.mark.system
@pytest.mark.outside
def test_an_error_is_an_error_for_the_inspector(
    healthy: KeyWriter, node: Node, served: Callable[..., str]
) -> None:
    assert healthy.as_of
    address = served(*SHIPPED)
    asked = ("--method", "tools/call", "--tool-name", "analyze_order_flow_tool")

    done = node(
        INSPECTOR, "--cli", address, "--transport", "http", *asked, "--tool-arg", "ticker=NONE"
    )

    assert done.returncode == 5
    assert "no record of this ticker" in done.stdout + done.stderr


def _said(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)
