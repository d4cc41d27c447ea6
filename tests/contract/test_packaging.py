"""The files for clients in packaging/."""

import asyncio
import json
import tomllib
from pathlib import Path
from typing import Any

from click import Context
from click.testing import CliRunner
from mcp import Client

from app.core.settings import Settings
from mcp_app.__main__ import main as serve
from mcp_app.server import make_server
from orderflow_command import main

ROOT = Path(__file__).parent.parent.parent
PACKAGING = ROOT / "packaging"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def loaded(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((PACKAGING / name).read_text(encoding="utf-8"))
    return found


def test_the_bundle_names_the_tools_that_a_model_sees() -> None:
    async def listed() -> list[str]:
        async with Client(make_server(Settings())) as client:
            tools = (await client.list_tools()).tools
        return [t.name for t in tools if "visibility" not in (t.meta or {}).get("ui", {})]

    manifest = loaded("mcpb/manifest.json")
    assert [tool["name"] for tool in manifest["tools"]] == asyncio.run(listed())
    assert (PACKAGING / "mcpb" / manifest["server"]["entry_point"]).is_file()


def test_all_files_carry_the_project_s_version() -> None:
    assert loaded("mcpb/manifest.json")["version"] == PROJECT["version"]
    server = loaded("server.json")
    assert server["version"] == PROJECT["version"]
    assert [package["version"] for package in server["packages"]] == [PROJECT["version"]]
    assert f"image: orderflow:{PROJECT['version']}\n" in (ROOT / "compose.yaml").read_text()


def test_the_command_tells_the_project_s_version() -> None:
    told = CliRunner().invoke(main, ["--version"])

    assert told.output == f"orderflow {PROJECT['version']}\n"


def test_the_registry_s_package_starts_the_server_by_its_command() -> None:
    [package] = loaded("server.json")["packages"]
    arguments = [argument["value"] for argument in package["packageArguments"]]

    assert package["identifier"] in PROJECT["scripts"]
    assert PROJECT["scripts"]["orderflow"] == "orderflow_command:main"
    command = main.get_command(Context(main), *arguments)
    assert command is serve


def test_settings_that_they_name_exist() -> None:
    known = {
        str(field.validation_alias.choices[0])  # type: ignore[union-attr]
        for field in Settings.model_fields.values()
    }
    [package] = loaded("server.json")["packages"]

    assert {variable["name"] for variable in package["environmentVariables"]} <= known
    env = loaded("mcpb/manifest.json")["server"]["mcp_config"]["env"]
    assert set(env) - {"PYTHONPATH"} <= known


def test_visual_studio_code_is_pointed_at_the_default_address() -> None:
    port = Settings.model_fields["mcp_port"].default

    server = loaded(".vscode/mcp.json")["servers"]["orderflow"]
    assert server == {"type": "http", "url": f"http://127.0.0.1:{port}/mcp"}
