"""`python packaging/audit.py`: print the known vulnerabilities of the pinned packages.

Exits with 1 for a vulnerability only: a build must not fail because the service is unavailable.
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

CONSTRAINTS = Path(__file__).parent.parent / "constraints.txt"
TIMEOUT_SECONDS = 120
_COMMAND = ("-m", "pip_audit", "--no-deps", "--disable-pip", "--progress-spinner", "off")


def main() -> int:
    """Ask the service and print what it found; return the exit code."""
    try:
        done = subprocess.run(  # noqa: S603 - the audit itself
            [sys.executable, *_COMMAND, "--timeout", "5", "-f", "json", "-r", str(CONSTRAINTS)],
            capture_output=True, text=True, timeout=TIMEOUT_SECONDS, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return _skipped(f"no answer within {TIMEOUT_SECONDS} s")
    try:
        found = json.loads(done.stdout)["dependencies"]
    except (ValueError, KeyError):
        return _skipped((done.stderr.strip().splitlines() or ["no answer"])[-1])
    return report(found)


def report(found: list[dict[str, Any]]) -> int:
    """Print what the service answered; return the exit code."""
    known = [one for one in found if "version" in one]
    unknown = [one["name"] for one in found if "version" not in one]
    faults = [
        f"{one['name']} {one['version']}: {fault['id']}, fixed in "
        f"{', '.join(fault['fix_versions']) or 'none'}"
        for one in known
        for fault in one["vulns"]
    ]
    if not known:
        return _skipped(f"the service knows none of {len(unknown)} packages")
    print("\n".join([f"audit: {len(known)} packages, {len(faults)} vulnerabilities", *faults]))
    if unknown:
        print(f"audit: SKIPPED, unknown to the service: {', '.join(unknown)}")
    return bool(faults)


def _skipped(why: str) -> int:
    print(f"audit: SKIPPED, nothing was checked: {why}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
