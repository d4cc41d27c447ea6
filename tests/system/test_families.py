"""A host without IPv4 runs everything, by `make run` without settings."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from app.core.loopback import has_address, listening_error, loopback
from app.core.settings import Settings
from app.operations.supervisor import busy_ports
from tests.processes import ROOT, Environment

pytestmark = pytest.mark.system


def namespaces_are_allowed() -> bool:
    tools = [shutil.which(name) for name in ("unshare", "ip")]
    return all(tools) and not subprocess.run(["unshare", "-rn", "true"], check=False).returncode  # noqa: S607


@pytest.mark.skipif(not namespaces_are_allowed(), reason="no network namespaces")
def test_a_host_without_ipv4_runs_everything(environment: Environment, tmp_path: Path) -> None:
    ours = {n: v for n, v in environment.items() if not n.startswith(("REDIS_", "ORDERFLOW_"))}
    command = ["unshare", "-rn", sys.executable, "-m", "tests.system.alone_in_family"]
    ran = subprocess.run(
        [*command, str(tmp_path), "6"], env=ours, cwd=ROOT, capture_output=True, check=False
    )
    said = (tmp_path / "run.log").read_text()

    assert ran.returncode == 0, ran.stderr.decode() + said
    assert json.loads(ran.stdout) == {
        "families": [False, True],
        "loopback": "::1",
        "statuses": [200, 200],
        "stale": False,
    }
    assert "http://[::1]:8765/mcp" in said
    assert "TROUBLE" not in said


def test_an_address_of_another_machine_is_named() -> None:
    config = Settings(ORDERFLOW_MCP_HOST="192.0.2.7", ORDERFLOW_FLOWER_HOST="2001:db8::7")

    lines = "\n".join(busy_ports(config))

    assert "no address 192.0.2.7 for MCP" in lines
    assert "no address 2001:db8::7 for Flower" in lines
    assert "is taken" not in lines.split("\n")[0]


def test_settings_that_were_given_stay() -> None:
    config = Settings(REDIS_HOST="127.0.0.1", ORDERFLOW_MCP_HOST="127.0.0.1")

    assert (config.redis_host, config.mcp_host) == ("127.0.0.1", "127.0.0.1")
    assert "flower_host" not in config.model_fields_set
    assert config.flower_host == loopback()


def test_names_and_all_addresses_can_be_listened_at() -> None:
    for host in ("localhost", "", "0.0.0.0", loopback()):  # noqa: S104 - for a moment
        assert listening_error(host, 0) is None
        assert has_address(host)
