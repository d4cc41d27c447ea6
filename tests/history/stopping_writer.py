"""A writer of the history that is killed before a chosen change of its folder.

Reads lines from stdin: which change, 0 for none; the folder; the times in epoch ms at which the
writer does what is due. Answers each with a line: how many of the times it did, and before what it
was killed, if it was. Each writer is a process of its own, forked from this one, which has loaded
all that it needs.
"""

import gc
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow.dataset  # noqa: F401 - what a writer would load with its first file

from app.core.settings import Settings
from app.history.folder import HistoryFolder
from app.history.writer import HistoryWriter
from app.storage.redis_client import connect

_CHANGES = ("os.mkdir", "os.rename", "os.remove", "os.truncate")


def change_of(event: str, args: tuple[Any, ...], folder: str) -> str | None:
    """Return which change of the folder an audit event tells of, None if it is none."""
    path = str(args[0]) if args else ""
    if not path.startswith(folder):
        return None
    if event == "open":
        _, mode, flags = args
        writes = any(letter in (mode or "") for letter in "wax+")
        # A folder is opened to flush it, once a file was renamed in it.
        is_change = writes or flags & (os.O_WRONLY | os.O_RDWR) or Path(path).is_dir()
        event = "open" if is_change else ""
    elif event not in _CHANGES:
        event = ""
    return f"{event} {path.removeprefix(folder)}" if event else None


def kill_before(number: int, folder: str, tell: int) -> None:
    """Kill this process before its change of that number."""
    left = number

    def count_change(event: str, args: tuple[Any, ...]) -> None:
        nonlocal left
        change = change_of(event, args, folder)
        if change is None:
            return
        left -= 1
        if left == 0:
            os.write(tell, f"\t{change}".encode())
            os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(count_change)


def write(config: Settings, number: int, folder: str, times: Sequence[str], tell: int) -> None:
    """Do what is due at each time."""
    now = 0.0
    writer = HistoryWriter(HistoryFolder(Path(folder)), connect(config), config, lambda: now)
    kill_before(number, folder, tell)
    for told in times:
        now = float(told)
        writer.step()
        os.write(tell, b".")


def main() -> None:
    """Run until stdin ends."""
    config = Settings()
    gc.freeze()  # what both have stays shared
    for line in sys.stdin:
        number, folder, *times = line.split()
        heard, tell = os.pipe()
        if not os.fork():
            os.close(heard)
            write(config, int(number), folder, times, tell)
            os._exit(0)
        os.close(tell)
        with os.fdopen(heard) as told:
            done, _, change = told.read().partition("\t")
        os.wait()
        print(f"{len(done)}\t{change}", flush=True)  # noqa: T201 - the answer


if __name__ == "__main__":
    main()
