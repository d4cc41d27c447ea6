"""`Dockerfile`, `compose.yaml` and Grafana's board: what can be checked without an engine."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from app.core.settings import Settings

ROOT = Path(__file__).parents[2]
COMPOSE = yaml.safe_load((ROOT / "compose.yaml").read_text())
OURS = {name: service for name, service in COMPOSE["services"].items() if "build" in service}
SHELL = shutil.which("sh") or "sh"
ENTRYPOINT = ROOT / "deploy" / "docker" / "entrypoint.sh"
BOARD = json.loads((ROOT / "deploy/grafana/dashboards/orderflow.json").read_text())


def setting_names() -> set[str]:
    names: set[str] = set()
    for field in Settings.model_fields.values():
        alias: Any = field.validation_alias
        names |= {one for one in getattr(alias, "choices", [alias]) if isinstance(one, str)}
    return names


def test_each_setting_of_a_service_is_one() -> None:
    known = setting_names()
    for name, service in OURS.items():
        for variable in service["environment"]:
            plain = variable.removesuffix("_FILE")
            assert variable in known or plain in known or variable.startswith("FLOWER_"), (
                name,
                variable,
            )


def test_each_secret_of_a_setting_is_given_to_its_service_and_read() -> None:
    [names] = re.findall(r"^for name in (.*); do$", ENTRYPOINT.read_text(), re.MULTILINE)
    for name, service in OURS.items():
        for variable, file in service["environment"].items():
            if variable.endswith("_FILE"):
                plain = variable.removesuffix("_FILE")
                assert plain in names.split() or variable in setting_names(), (name, variable)
                assert Path(file).name in service["secrets"], (name, variable)


def test_flower_has_a_login_where_others_reach_it(tmp_path: Path) -> None:
    """Without one it ends, and is started again for ever."""
    environment = COMPOSE["services"]["flower"]["environment"]
    login = tmp_path / Path(environment["FLOWER_BASIC_AUTH_FILE"]).name
    login.write_text("somebody:secret\n")
    done = enter("printenv", "FLOWER_BASIC_AUTH", FLOWER_BASIC_AUTH_FILE=str(login))
    assert done.stdout == "somebody:secret\n"


def test_what_a_service_runs_is_a_command_of_the_project() -> None:
    for name, service in OURS.items():
        program, *words = service["command"]
        assert program in {"celery", "orderflow"}, name
        done = subprocess.run(
            [Path(sys.executable).parent / program, *words, "--help"],
            capture_output=True,
            text=True,
            check=False,
            cwd=ROOT,
        )
        assert done.returncode == 0, done.stderr


def test_only_loopback_is_published_and_no_secret_stands_in_the_file() -> None:
    for service in COMPOSE["services"].values():
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", []))
    assert all(
        Path(secret["file"]).parts[:2] == ("deploy", "secrets")
        for secret in COMPOSE["secrets"].values()
    )
    assert "/deploy/secrets/" in (ROOT / ".gitignore").read_text().splitlines()


def test_each_service_that_ends_is_started_again() -> None:
    assert {service.get("restart") for service in COMPOSE["services"].values()} == {
        "unless-stopped"
    }


def test_what_runs_in_the_image_has_no_rights() -> None:
    assert re.search(r"^USER orderflow$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    for service in OURS.values():
        assert service["cap_drop"] == ["ALL"]
        assert service["read_only"]


def test_each_path_that_a_service_or_the_image_takes_is_there() -> None:
    for service in COMPOSE["services"].values():
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            assert source in COMPOSE["volumes"] or (ROOT / source).exists(), source
    copied = re.findall(r"^COPY (deploy/\S+)", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    assert copied
    assert all((ROOT / path).exists() for path in copied)


def enter(*command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [SHELL, ENTRYPOINT, *command],
        env={"PATH": os.environ["PATH"], **environment},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("secret", ["plain", "with space", "a'b\"c$d`e\\", "ends#="])
def test_the_entry_point_reads_secrets_from_files(tmp_path: Path, secret: str) -> None:
    file = tmp_path / "secret"
    file.write_text(f"{secret}\n")
    done = enter("env", "-0", REDIS_PASSWORD_FILE=str(file))
    found = dict(one.split("=", 1) for one in done.stdout.split("\0") if one)
    assert found["REDIS_PASSWORD"] == secret
    assert "REDIS_PASSWORD_FILE" not in found


def test_the_entry_point_names_a_file_that_is_not_there(tmp_path: Path) -> None:
    missing = tmp_path / "none"
    done = enter("true", REDIS_PASSWORD_FILE=str(missing))
    assert done.returncode == 2
    assert done.stderr == (
        f"REDIS_PASSWORD_FILE='{missing}': there is no such file, or it can't be read\n"
    )


def test_the_entry_point_becomes_the_command() -> None:
    """Signals then reach the process itself."""
    with subprocess.Popen(
        [SHELL, ENTRYPOINT, SHELL, "-c", "echo $$; exit 7"], stdout=subprocess.PIPE, text=True
    ) as running:
        said, _ = running.communicate()
    assert (int(said), running.returncode) == (running.pid, 7)


def test_each_panel_of_the_board_asks_for_what_alerts_or_metrics_know() -> None:
    documented = (ROOT / "docs" / "operations.md").read_text()
    others = {"redis_memory_used_bytes", "redis_memory_max_bytes", "process_resident_memory_bytes"}
    for panel in BOARD["panels"]:
        for target in panel["targets"]:
            for name in re.findall(r"\b(?:orderflow|redis|process)_[a-z_]+\b", target["expr"]):
                plain = name.removesuffix("_bucket")
                assert plain in others or plain in documented, (panel["title"], name)
