"""Run pip with a line every ten seconds about how far it is.

python packaging/progress.py TITLE LOG COMMAND...

The command's output goes to the file LOG; its end is shown if the command fails.
"""

import subprocess
import sys
import time
from pathlib import Path

REPORT_SECONDS = 10


def _state(log: Path) -> str:
    lines = log.read_text(errors="replace").splitlines()
    if any(line.startswith("Installing collected") for line in lines):
        return "all packages found, installing them"
    found = sum(line.startswith(("Collecting ", "Processing ")) for line in lines)
    return f"{found} packages found"


def main() -> None:
    """Run the command, report on it, and exit as it exited."""
    title, log_name, *command = sys.argv[1:]
    log, start = Path(log_name), time.monotonic()
    print(title, flush=True)
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)  # noqa: S603 - make's
    while True:
        try:
            code = process.wait(REPORT_SECONDS)
        except subprocess.TimeoutExpired:
            print(f"    {time.monotonic() - start:3.0f} s: {_state(log)}", flush=True)
        else:
            break
    if code:
        sys.exit("\n".join([*log.read_text(errors="replace").splitlines()[-30:], f"All: {log}"]))
    print(f"    done in {time.monotonic() - start:.0f} s", flush=True)


if __name__ == "__main__":
    main()
