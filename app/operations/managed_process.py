"""One supervised process: started, started again with back-off, ended."""

import asyncio
import os
import signal
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from app.operations import die_with_parent

FIRST_WAIT_SECONDS = 0.2
LONGEST_WAIT_SECONDS = 5.0
HEALTHY_AFTER_SECONDS = 10.0
_CHUNK_BYTES = 65536
TUNED = {
    # Each thread's own store of freed blocks, 2,000 of a size up to 1 KB instead of seven: 8 % of
    # Redis' time a tick, 5 % of a worker's. Nothing heeds it where the C library is another.
    "GLIBC_TUNABLES": "glibc.malloc.tcache_count=2000:glibc.malloc.tcache_max=1032",
    # numpy's threads for matrices, of which there are none here, wait by spinning: 70 ms a start.
    "OPENBLAS_NUM_THREADS": "1",
}

Say = Callable[[str, str], None]


@dataclass(frozen=True, slots=True)
class Program:
    """What to run under which name."""

    name: str
    command: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    stdin: str = ""


def next_wait(wait_seconds: float, lived_seconds: float) -> float:
    """Return how long to wait before the next start, after a wait and a life so long.

    >>> next_wait(0.2, lived_seconds=1), next_wait(4.0, lived_seconds=1)
    (0.4, 5.0)
    >>> next_wait(5.0, lived_seconds=11)
    0.2
    """
    if lived_seconds >= HEALTHY_AFTER_SECONDS:
        return FIRST_WAIT_SECONDS
    return min(wait_seconds * 2, LONGEST_WAIT_SECONDS)


def _death(code: int) -> str:
    return f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with code {code}"


class ManagedProcess:
    """A program that is kept running until it is told to end."""

    def __init__(self, program: Program, say: Say) -> None:
        self.program = program
        self._say = say
        self._process: asyncio.subprocess.Process | None = None

    async def keep_running(self) -> None:
        """Run the program again and again; cancel to stop doing so."""
        wait_seconds = FIRST_WAIT_SECONDS / 2
        while True:
            started = time.monotonic()
            how = await self._run()
            wait_seconds = next_wait(wait_seconds, time.monotonic() - started)
            self._say(self.program.name, f"{how}; starting it again in {wait_seconds:.1f} s")
            await asyncio.sleep(wait_seconds)

    async def _run(self) -> str:
        try:
            self._process = process = await self._start()
        except OSError as error:
            return f"could not be started: {error}"
        await self._feed(process)
        await self._repeat_output(process)
        return _death(await process.wait())

    async def _start(self) -> asyncio.subprocess.Process:
        # -S: the wrapper needs no packages, and starts in half the time without.
        wrapper = (sys.executable, "-S", str(Path(die_with_parent.__file__)), str(os.getpid()))
        return await asyncio.create_subprocess_exec(
            *wrapper,
            *self.program.command,
            env={**TUNED, **os.environ, "PYTHONUNBUFFERED": "1", **self.program.environment},
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            process_group=0,  # Ctrl-C is for the supervisor, which ends all in order
        )

    async def _feed(self, process: asyncio.subprocess.Process) -> None:
        if process.stdin is None:
            return
        with suppress(ConnectionError):
            process.stdin.write(self.program.stdin.encode())
            await process.stdin.drain()
        process.stdin.close()

    async def _repeat_output(self, process: asyncio.subprocess.Process) -> None:
        """Say each line; a line that never ends is said in pieces, so that no pipe fills up."""
        rest = b""
        while process.stdout and (chunk := await process.stdout.read(_CHUNK_BYTES)):
            *lines, rest = (rest + chunk).split(b"\n")
            if len(rest) > _CHUNK_BYTES:
                lines, rest = [*lines, rest], b""
            for line in lines:
                self._say(self.program.name, line.decode(errors="replace"))
        if rest:
            self._say(self.program.name, rest.decode(errors="replace"))

    def signal(self, number: int) -> None:
        """Send a signal to the process and all that it started."""
        if self._process is not None and self._process.returncode is None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, number)

    async def ended(self) -> None:
        """Wait until the process is gone."""
        if self._process is not None:
            await self._process.wait()
