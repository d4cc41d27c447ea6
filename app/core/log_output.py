"""Write log lines where they may not fit: lose and count them, and say so once there is room."""

import errno
import os
import select
import stat
import threading
from collections.abc import Callable
from contextlib import suppress

_PIECE_BYTES = select.PIPE_BUF if hasattr(select, "PIPE_BUF") else 512
"""A pipe that can be written to takes as much without a wait."""
_PATIENCE_SECONDS = 0.1
"""How long a line waits for the reader of a pipe; none waits after a line that was lost."""


class LostLines:
    """How many lines were lost since one was last written, and why the newest was."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.number = 0
        self.reason = ""

    def add(self, error: OSError) -> None:
        """Count a line that could not be written."""
        with self._lock:
            self.number += 1
            self.reason = error.strerror or type(error).__name__

    def subtract(self, number: int) -> None:
        """Forget as many as were said; others may have been lost meanwhile."""
        with self._lock:
            self.number -= number

    def describe(self) -> str:
        """Return what happened, in a sentence."""
        lines = "1 line was" if self.number == 1 else f"{self.number} lines were"
        return f"{lines} lost: {self.reason}"


class LogOutput:
    """Lines into a file descriptor; a line that can't be written is lost, and raises no error.

    A full disk, or a pipe that nobody reads, must end or hold up nothing but the log. `notice`
    returns the line about lost ones, which is written before the next one. A patient one waits
    for a slow reader as long as it takes.
    """

    def __init__(
        self,
        descriptor: int,
        notice: Callable[[LostLines], str],
        lost: LostLines | None = None,
        *,
        is_patient: bool = False,
    ) -> None:
        self._descriptor = descriptor
        self._notice = notice
        self.lost = lost or LostLines()
        is_pipe = stat.S_ISFIFO(os.fstat(descriptor).st_mode)
        self._waits_briefly = is_pipe and not is_patient
        self._is_line_broken = False

    def write(self, text: str) -> OSError | None:
        """Write a line with its end, and before it how many were lost; return why it is lost."""
        try:
            self._write_notice()
            self._write(text)
        except OSError as error:
            self.lost.add(error)
            return error
        return None

    def try_to_write_notice(self) -> None:
        """Write how many lines were lost, if some were and there is room."""
        with suppress(OSError):
            self._write_notice()

    def _write_notice(self) -> None:
        if number := self.lost.number:
            self._write(f"{self._notice(self.lost)}\n")
            self.lost.subtract(number)

    def _write(self, text: str) -> None:
        rest = text.encode(errors="backslashreplace")
        if self._is_line_broken:  # a piece of an earlier line stands there without its end
            rest = b"\n" + rest
        while rest:
            rest = rest[self._write_piece(rest) :]
            self._is_line_broken = bool(rest)

    def _write_piece(self, rest: bytes) -> int:
        if not self._waits_briefly:
            return os.write(self._descriptor, rest)
        seconds = 0.0 if self.lost.number else _PATIENCE_SECONDS
        waiting = select.poll()
        waiting.register(self._descriptor, select.POLLOUT)
        if not waiting.poll(1000.0 * seconds):
            raise TimeoutError(errno.ETIMEDOUT, "nobody reads the pipe")
        return os.write(self._descriptor, rest[:_PIECE_BYTES])
