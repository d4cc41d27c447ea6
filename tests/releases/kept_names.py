"""The names that programs of others rely on: as they are now, and as a release had them."""

import asyncio
import json
from pathlib import Path
from typing import Any

import click
from mcp import Client

from app.analysis.metric_table import METRICS
from app.analysis.pattern_table import PATTERNS
from app.core.settings import Settings
from app.storage import keys
from mcp_app.server import make_server
from tests.contract.documents import commands, settings

FOLDER = Path(__file__).parent

Names = dict[str, dict[str, list[str]]]


def path_of(release: str) -> Path:
    """Return the file of a release."""
    return FOLDER / f"{release}.names.json"


def releases() -> list[str]:
    """Return the releases of which names are kept."""
    return sorted(path.name.removesuffix(".names.json") for path in FOLDER.glob("*.names.json"))


def load(release: str) -> Names:
    """Read the names of a release."""
    names: Names = json.loads(path_of(release).read_text(encoding="utf-8"))
    return names


def save(release: str) -> None:
    """Write today's names as those of a release."""
    text = json.dumps(current(), indent=1, ensure_ascii=False)
    path_of(release).write_text(text + "\n", encoding="utf-8")


def current() -> Names:
    """Return today's names: by kind, each with the names that it has within."""
    tools = asyncio.run(_tools())
    return {
        "keys": {line.split()[1]: line.split()[:1] for line in _key_lines()},
        "metrics": {row.name: [row.unit] for row in METRICS},
        "patterns": {row.type: [*row.sides, *(f.name for f in row.evidence)] for row in PATTERNS},
        "tools": {tool["name"]: sorted(tool["inputSchema"]["properties"]) for tool in tools},
        "settings": {name: [] for name in sorted(settings())},
        "commands": {path: _options(command) for path, command in commands()},
    }


def required_arguments() -> Names:
    """Return which arguments each of today's tools can't be called without."""
    tools = asyncio.run(_tools())
    return {"tools": {it["name"]: it["inputSchema"].get("required", []) for it in tools}}


async def _tools() -> list[dict[str, Any]]:
    async with Client(make_server(Settings())) as client:
        found = (await client.list_tools()).tools
        return [one.model_dump(mode="json", by_alias=True) for one in found]


def _key_lines() -> list[str]:
    lines = (keys.__doc__ or "").splitlines()
    return [line for line in lines if len(line.split()) > 1 and keys.PREFIX in line.split()[1]]


def _options(command: click.Command) -> list[str]:
    options = [it for it in command.params if isinstance(it, click.Option)]
    return sorted(name for option in options for name in option.opts)
