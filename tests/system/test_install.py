"""A wheel that pip builds and installs works outside the checkout."""

import os
import site
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

from tests.processes import ROOT
from tests.system.test_serving import HELLO, message, on_stdio, told

pytestmark = [pytest.mark.system, pytest.mark.timeout(600)]
# Compiling takes half a minute on two idle cores: ORDERFLOW_TEST_INSTALL=compiled.
COMPILED = os.environ.get("ORDERFLOW_TEST_INSTALL") == "compiled"


def build(folder: Path) -> Path:
    command = [sys.executable, "-m", "pip", "wheel", ".", "--no-build-isolation", "--no-deps"]
    inherited = {name: text for name, text in os.environ.items() if name != "ORDERFLOW_COMPILE"}
    subprocess.run(
        [*command, "--quiet", "--wheel-dir", str(folder)],
        cwd=ROOT,
        env=inherited | ({} if COMPILED else {"ORDERFLOW_COMPILE": "0"}),
        check=True,
    )
    [wheel] = folder.glob("*.whl")
    return wheel


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def scripts(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install the wheel where the dependencies of these tests are found, but not the checkout."""
    home = tmp_path_factory.mktemp("venv")
    venv.create(home, symlinks=True)
    [packages] = home.glob("lib/python*/site-packages")
    # A path in a .pth file, whose own .pth files (the editable checkout's) are not read.
    (packages / "dependencies.pth").write_text("\n".join(site.getsitepackages()))
    python = home / "bin" / "python"
    install = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet"]
    subprocess.run(
        [*install, "--no-deps", "--no-index", "--force-reinstall", str(wheel)], check=True
    )
    return home / "bin"


def run(scripts: Path, cwd: Path, *command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [scripts / command[0], *command[1:]],
        cwd=cwd,
        env=usual_environment(),
        capture_output=True,
        text=True,
        check=False,
    )


def usual_environment() -> dict[str, str]:
    """Return the environment without what these tests have set, and with a Redis that is away."""
    hidden = ("PYTHONPATH", "REDIS_", "ORDERFLOW_")
    clean = {name: text for name, text in os.environ.items() if not name.startswith(hidden)}
    return clean | {"REDIS_PORT": "1"}


def test_a_wheel_holds_the_sources_and_the_files_that_they_read(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()

    files = [file for room in ("app", "tasks", "mcp_app") for file in (ROOT / room).rglob("*.*")]
    kept = [file for file in files if file.suffix in {".py", ".lua", ".html", ".typed"}]
    assert {str(file.relative_to(ROOT)) for file in kept} <= set(names)
    assert {"celeryconfig.py", "orderflow_command.py"} <= set(names)
    assert not [name for name in names if name.startswith(("tests/", "packaging/", "benchmarks/"))]
    assert any(name.endswith(".so") for name in names) == COMPILED


def test_the_installed_modules_are_those_of_the_wheel(scripts: Path, tmp_path: Path) -> None:
    told = "import app.analysis.engine as engine; print(engine.__file__)"
    found = run(scripts, tmp_path, "python", "-c", told)

    assert found.returncode == 0, found.stderr
    assert found.stdout.startswith(str(scripts.parent))
    assert found.stdout.strip().endswith(".so" if COMPILED else ".py")


@pytest.mark.parametrize(
    ("command", "shown"),
    [
        (("orderflow", "--help"), "analyze"),
        (("orderflow", "mcp", "--help"), "--http"),
        (("python", "-m", "mcp_app", "--help"), "--http"),
        (("python", "-m", "celery", "-A", "tasks", "report"), "celery:5"),
        (("python", "-m", "celery", "-A", "tasks", "worker", "--help"), "--concurrency"),
    ],
)
def test_commands_work_outside_the_checkout(
    scripts: Path, tmp_path: Path, command: tuple[str, ...], shown: str
) -> None:
    done = run(scripts, tmp_path, *command)

    assert done.returncode == 0, done.stderr
    assert shown in done.stdout


def test_a_question_without_a_redis_ends_with_one_line(scripts: Path, tmp_path: Path) -> None:
    asked = run(scripts, tmp_path, "orderflow", "ask", "SPY")

    assert asked.returncode != 0
    assert "Traceback" not in asked.stderr
    assert asked.stderr.strip() or asked.stdout.strip()


@pytest.fixture
def python_path(request: pytest.FixtureRequest, tmp_path: Path) -> dict[str, str]:
    """Return a PYTHONPATH as people have it who work on a project of their own."""
    paths = {"this directory": ".", "an empty part": ":", "another directory": str(tmp_path)}
    path = paths.get(request.param)
    return {} if path is None else {"PYTHONPATH": path}


# Where Python looks differs by PYTHONPATH; in each place it finds packages before modules.
@pytest.mark.parametrize(
    ("python_path", "as_packages"),
    [
        ("no PYTHONPATH", False),
        ("this directory", False),
        ("an empty part", False),
        ("another directory", False),
        ("this directory", True),
    ],
    indirect=["python_path"],
)
def test_the_server_starts_among_other_modules_of_the_same_names(
    scripts: Path, tmp_path: Path, python_path: dict[str, str], *, as_packages: bool
) -> None:
    for name in ("app", "tasks", "mcp_app", "celeryconfig", "mcp", "redis", "click"):
        source = tmp_path / name / "__init__.py" if as_packages else tmp_path / f"{name}.py"
        source.parent.mkdir(exist_ok=True)
        source.write_text(f"raise RuntimeError('the {name} of another project')\n")
    command = [str(scripts / "orderflow"), "mcp"]

    with on_stdio(command, usual_environment() | python_path, cwd=tmp_path) as process:
        said = told(process, message("initialize", HELLO))

    assert said["result"]["serverInfo"]["name"] == "orderflow"
