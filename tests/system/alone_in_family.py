"""Run the whole system on a host with one kind of addresses, and print what it answers.

Runs inside a network namespace: `unshare -rn python -m tests.system.alone_in_family FOLDER 4|6`.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

from app.core.loopback import has_address, loopback
from app.core.redis_url import bracketed
from tests.processes import BOUND_SECONDS, http_get, wait_until

ONLY = {"6": ("addr", "del", "127.0.0.1/8"), "4": ("addr", "del", "::1/128")}


def main(folder: Path, family: str) -> None:
    """Start everything, wait for the first ticks, ask by each way, and end it."""
    for words in (("link", "set", "lo", "up"), (*ONLY[family], "dev", "lo")):
        subprocess.run(["ip", *words], check=words[0] == "link")  # noqa: S607
    log = folder / "run.log"
    environment = os.environ | {"ORDERFLOW_WORKERS": "1", "ORDERFLOW_FEED": "simulate"}
    python = [sys.executable, "-m"]
    with log.open("wb") as output:
        run = subprocess.Popen(
            [*python, "app.operations.supervisor"], stdout=output, stderr=output, env=environment
        )

    def ticks_or_ended() -> bool:
        return run.poll() is not None or " is up to date" in log.read_text()

    wait_until(ticks_or_ended, "it ticks")
    site = f"http://{bracketed(loopback())}"
    health = http_get(f"{site}:8765/ready").status_code
    flower = http_get(f"{site}:5555/healthcheck").status_code
    asked = subprocess.run(
        [*python, "app", "ask", "SPY", "--json"], capture_output=True, text=True, check=False
    )
    run.terminate()
    run.wait(BOUND_SECONDS)
    found = {
        "families": [has_address("127.0.0.1"), has_address("::1")],
        "loopback": loopback(),
        "statuses": [health, flower],
        "stale": json.loads(asked.stdout).get("stale") if asked.returncode == 0 else asked.stderr,
    }
    sys.stdout.write(json.dumps(found))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
