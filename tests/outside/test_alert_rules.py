"""`promtool` on the alert rules of `deploy/prometheus`, and on what they have to fire for."""

import subprocess
from pathlib import Path

import pytest

RULES = Path(__file__).parents[2] / "deploy" / "prometheus"


@pytest.mark.outside
@pytest.mark.parametrize(
    "command", [("check", "rules", "alerts.yml"), ("test", "rules", "alerts_test.yml")]
)
def test_promtool_accepts_the_rules_and_their_tests(
    prometheus: Path, command: tuple[str, ...]
) -> None:
    done = subprocess.run(
        [prometheus / "promtool", *command], cwd=RULES, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "SUCCESS" in done.stdout
