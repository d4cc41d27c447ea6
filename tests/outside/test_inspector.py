"""Every tool from the Inspector's command line, as a client of 2025 and of 2026."""

import json
from collections.abc import Callable

import pytest

from tests.by_hand import Hand
from tests.outside.conftest import Node
from tests.redis.agents import CALLS

INSPECTOR = ".bin/mcp-inspector"
SHIPPED = ("mcp_app", "--http", "--port", "{port}")


@pytest.mark.system
@pytest.mark.outside
@pytest.mark.usefixtures("healthy")
@pytest.mark.parametrize("era", ["legacy", "modern"])
def test_every_tool_answers_the_inspector(node: Node, served: Callable[..., str], era: str) -> None:
    address = served(*SHIPPED)
    common = ("--cli", address, "--transport", "http", "--protocol-era", era)

    for tool, arguments in CALLS.items():
        given = [
            word
            for name, value in arguments.items()
            for word in ("--tool-arg", f"{name}={_said(value)}")
        ]
        done = node(INSPECTOR, *common, "--method", "tools/call", "--tool-name", tool, *given)

        assert done.returncode == 0, (tool, done.stdout[-500:], done.stderr[-500:])
        assert json.loads(done.stdout)["structuredContent"], tool


@pytest.mark.system
@pytest.mark.outside
def test_an_error_is_an_error_for_the_inspector(
    healthy: Hand, node: Node, served: Callable[..., str]
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
