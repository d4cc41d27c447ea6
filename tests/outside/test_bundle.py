"""The bundle for desktop clients, by the tool that makes bundles."""

from pathlib import Path

import pytest

from tests.outside.conftest import Node
from tests.processes import ROOT

BUNDLE = ROOT / "packaging" / "mcpb"
MCPB = ".bin/mcpb"


@pytest.mark.system
@pytest.mark.outside
def test_the_bundle_is_valid_and_can_be_packed(node: Node, tmp_path: Path) -> None:
    packed = tmp_path / "orderflow.mcpb"

    valid = node(MCPB, "validate", str(BUNDLE / "manifest.json"))
    done = node(MCPB, "pack", str(BUNDLE), str(packed))

    assert valid.returncode == 0, valid.stdout + valid.stderr
    assert done.returncode == 0, done.stdout + done.stderr
    assert packed.stat().st_size > 0
