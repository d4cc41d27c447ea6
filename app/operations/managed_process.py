"""A managed process: start, restart with back-off, stop."""

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

MIN_RESTART_DELAY_SECONDS = 0.2
MAX_RESTART_DELAY_SECONDS = 5.0
HEALTHY_AFTER_SECONDS = 10.0
_CHUNK_BYTES = 65536
TUNING_ENVIRONMENT = {
    # A cache of 2,000 freed blocks per size up to 1 KB in each thread, instead of seven: saves 8 %
    # of Redis' time per tick and 5 % of a worker's. Huge pages, where the kernel gives them to who
    # asks: 10 to 20 % of Redis' time on a virtual machine. Other C libraries ignore both.
    "GLIBC_TUNABLES": (
        "glibc.malloc.tcache_count=2000:glibc.malloc.tcache_max=1032:glibc.malloc.hugetlb=1"
    ),
    # numpy's threads for matrices, which are not used here, spin while waiting: 70 ms per start.
    "OPENBLAS_NUM_THREADS": "1",
}

UNTUNED_ENVIRONMENT = {"GLIBC_TUNABLES": ""}
"""What makes ticks faster costs a live feed 9 MB and saves it no time. The MCP server frees in one
thread what others allocated: the freed blocks of 64 sizes, 2,000 each, would fill up that thread's
cache within hours.
"""

LineCallback = Callable[[str, str], None]


@dataclass(frozen=True, slots=True)
class Program:
    """A command to run, and its name."""

    name: str
    command: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    stdin: str = ""
    final_code: int | None = None
    """The exit code that says that starting the program again is no use."""
    is_optional: bool = False
    """All goes on without it."""


def restart_delay(last_delay_seconds: float, uptime_seconds: float) -> float:
    """Return the seconds to wait before the next start.

    >>> restart_delay(0.2, uptime_seconds=1), restart_delay(4.0, uptime_seconds=1)
    (0.4, 5.0)
    >>> restart_delay(5.0, uptime_seconds=11)
    0.2
    """
    if uptime_seconds >= HEALTHY_AFTER_SECONDS:
        return MIN_RESTART_DELAY_SECONDS
    return min(last_delay_seconds * 2, MAX_RESTART_DELAY_SECONDS)


def _describe_exit(code: int) -> str:
    return f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with code {code}"


class ManagedProcess:
    """A program that is restarted whenever it exits."""

    def __init__(self, program: Program, say: LineCallback) -> None:
        self.program = program
        self._on_line = say
        self._process: asyncio.subprocess.Process | None = None
        self.last_line = ""
        """The newest line that the program printed."""

    async def keep_running(self) -> None:
        """Run the program and restart it when it exits, until the task is cancelled.

        Returns where the program's exit code is its final one.
        """
        wait_seconds = MIN_RESTART_DELAY_SECONDS / 2
        while True:
            started = time.monotonic()
            how = await self._run()
            if self._process is not None and self._process.returncode == self.program.final_code:
                self._on_line(self.program.name, f"{how}; it is not started again")
                return
            wait_seconds = restart_delay(wait_seconds, time.monotonic() - started)
            self._on_line(self.program.name, f"{how}; starting it again in {wait_seconds:.1f} s")
            await asyncio.sleep(wait_seconds)

    async def _run(self) -> str:
        try:
            self._process = process = await self._start()
        except OSError as error:
            return f"could not be started: {error}"
        await self._write_stdin(process)
        await self._forward_output(process)
        return _describe_exit(await process.wait())

    async def _start(self) -> asyncio.subprocess.Process:
        # -S: the wrapper needs no packages, and starts twice as fast without them.
        wrapper = (sys.executable, "-S", str(Path(die_with_parent.__file__)), str(os.getpid()))
        return await asyncio.create_subprocess_exec(
            *wrapper,
            *self.program.command,
            env={
                **TUNING_ENVIRONMENT,
                **os.environ,
                "PYTHONUNBUFFERED": "1",
                **self.program.environment,
            },
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            process_group=0,  # Ctrl-C goes to the supervisor, which stops all in order
        )

    async def _write_stdin(self, process: asyncio.subprocess.Process) -> None:
        if process.stdin is None:
            return
        with suppress(ConnectionError):
            process.stdin.write(self.program.stdin.encode())
            await process.stdin.drain()
        process.stdin.close()

    async def _forward_output(self, process: asyncio.subprocess.Process) -> None:
        """Pass on each line; an overlong line is passed on in pieces, so that the pipe drains."""
        rest = b""
        while process.stdout and (chunk := await process.stdout.read(_CHUNK_BYTES)):
            *lines, rest = (rest + chunk).split(b"\n")
            if len(rest) > _CHUNK_BYTES:
                lines, rest = [*lines, rest], b""
            for line in lines:
                self._pass_on(line)
        if rest:
            self._pass_on(rest)

    def _pass_on(self, line: bytes) -> None:
        self.last_line = line.decode(errors="replace")
        self._on_line(self.program.name, self.last_line)

    def signal(self, number: int) -> None:
        """Send a signal to the process and its descendants."""
        if self._process is not None and self._process.returncode is None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, number)

    async def wait_for_exit(self) -> None:
        """Wait until the process has exited."""
        if self._process is not None:
            await self._process.wait()
