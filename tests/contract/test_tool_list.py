"""What clients see of the tools, against a snapshot that was reviewed.

A change of it is a change of what agents rely on. Where one is meant, write the snapshot anew and
review its diff: ORDERFLOW_WRITE_SNAPSHOT=1 make test ARGS=tests/contract/test_tool_list.py
"""

import asyncio
import json
import os
from pathlib import Path
from typing import Any

from mcp import Client

from app.core.settings import Settings
from mcp_app.server import make_server

SNAPSHOT = Path(__file__).with_name("tool_list.json")


async def published() -> dict[str, Any]:
    """Return all that a client receives before its first call."""
    async with Client(make_server(Settings())) as client:
        found = {
            "tools": (await client.list_tools()).tools,
            "resources": (await client.list_resources()).resources,
            "templates": (await client.list_resource_templates()).resource_templates,
            "prompts": (await client.list_prompts()).prompts,
        }
        listed = {
            kind: [one.model_dump(mode="json", by_alias=True, exclude_none=True) for one in ones]
            for kind, ones in found.items()
        }
        return {"instructions": client.instructions, **listed}


def test_what_clients_are_told_is_what_was_reviewed() -> None:
    now = asyncio.run(published())
    if os.environ.get("ORDERFLOW_WRITE_SNAPSHOT") == "1":
        SNAPSHOT.write_text(json.dumps(now, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")

    assert now == json.loads(SNAPSHOT.read_text(encoding="utf-8"))


def test_every_tool_of_the_snapshot_only_reads() -> None:
    tools = json.loads(SNAPSHOT.read_text(encoding="utf-8"))["tools"]

    assert len(tools) == 9
    for tool in tools:
        hints = tool["annotations"]
        assert hints["readOnlyHint"] is True, tool["name"]
        assert hints["destructiveHint"] is False, tool["name"]
        assert tool["inputSchema"]["additionalProperties"] is False, tool["name"]
