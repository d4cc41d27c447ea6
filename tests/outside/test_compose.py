"""`compose.yaml` by the schema of its format."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.processes import ROOT


@pytest.mark.outside
def test_the_compose_file_is_valid(client_python: Callable[[str], Path]) -> None:
    check = client_python("check_jsonschema").with_name("check-jsonschema")
    schema = ("--builtin-schema", "vendor.compose-spec")
    done = subprocess.run(
        [check, *schema, ROOT / "compose.yaml"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
