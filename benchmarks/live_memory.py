"""A live feed's memory: what its parts take when they are imported, and ways to take less."""

import os
import subprocess
import sys
from typing import NamedTuple

from benchmarks.harness import table
from benchmarks.live import QUICK_SECONDS, SECONDS, cost_of
from tests.feeds.live.vendors import VENDORS

SOURCE = "kraken"
PARTS = (
    "asyncio",
    "msgspec",
    "websockets.asyncio.client",
    "structlog",
    "redis",
    "app.feeds.live.run",
)
"""In the order in which a feed's process imports them; each adds what the ones before it left."""
LEFT_OUT = ("click", "httpx2", "pydantic_settings", "pandas")
"""What the command needs that checks a feed, and not the process that runs it."""
WAYS = {
    "as it is": {},
    "one arena of malloc": {"MALLOC_ARENA_MAX": "1"},
    "malloc instead of Python's allocator": {"PYTHONMALLOC": "malloc"},
    "no docstrings": {"PYTHONOPTIMIZE": "2"},
}
_MEASURE = """
import sys
import psutil
for name in sys.argv[1:]:
    __import__(name)
    memory = psutil.Process().memory_full_info()
    print(name, memory.rss / 2**20, memory.uss / 2**20)
"""


class Memory(NamedTuple):
    """What a process holds, in MB, and what of it no other process shares."""

    name: str
    resident: float
    own: float


def run(*, quick: bool) -> str:
    """Measure and return the section."""
    seconds = QUICK_SECONDS if quick else SECONDS
    parts = _imported(("sys", *PARTS, *LEFT_OUT))
    rows = [
        (after.name, f"{after.resident:.1f}", f"{after.resident - before.resident:+.1f}")
        for before, after in zip(parts[:1] + parts, parts, strict=False)
    ]
    ways = []
    for name, variables in WAYS.items():
        cost = cost_of(SOURCE, VENDORS[SOURCE], seconds, variables)
        ways.append((name, f"{cost.rss_mb:.1f}", f"{cost.own_mb:.1f}", f"{cost.cpu_us:.0f}"))
    head = ("the process that runs, after 2,000 records a second", "MB", "own", "CPU a message, µs")
    return (
        f"{table(('imported, one after the other', 'MB', 'more'), rows)}\n\n"
        f"The last {len(LEFT_OUT)} are not in the process of a feed.\n\n{table(head, ways)}\n"
    )


def _imported(names: tuple[str, ...]) -> list[Memory]:
    """Return the memory of a process after each import."""
    command = (sys.executable, "-c", _MEASURE, *names)
    environment = {**os.environ, "GLIBC_TUNABLES": ""}
    said = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)  # noqa: S603
    lines = [line.split() for line in said.stdout.splitlines()]
    return [Memory(name, float(resident), float(own)) for name, resident, own in lines]
