"""Run a command that is killed when its parent dies: `die_with_parent.py PARENT_PID COMMAND…`.

A separate program, because a function run between fork and exec may deadlock where the parent has
threads. Only Linux supports it; elsewhere the command just runs.
"""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def die_with(parent: int, number: int = signal.SIGKILL) -> None:
    """Have the kernel send signal `number` to this process when its parent process dies."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, number)
        if os.getppid() != parent:  # it died before the request
            os.kill(os.getpid(), number)


if __name__ == "__main__":
    die_with(int(sys.argv[1]))
    os.execvp(sys.argv[2], sys.argv[2:])  # noqa: S606 - to run what the caller names is its job
