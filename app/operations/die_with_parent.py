"""Run a command that dies with its parent: `python lifeline.py PARENT_PID COMMAND…`.

A program of its own, not a function run between fork and exec: that may lock up where the
parent has threads. Linux has the means; elsewhere the command just runs.
"""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def die_with(parent: int, number: int = signal.SIGKILL) -> None:
    """Have the kernel send this process `number` when `parent`, which started it, dies."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, number)
        if os.getppid() != parent:  # it died before the kernel knew
            os.kill(os.getpid(), number)


if __name__ == "__main__":
    die_with(int(sys.argv[1]))
    os.execvp(sys.argv[2], sys.argv[2:])  # noqa: S606 - to run what the caller names is its job
