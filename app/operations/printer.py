"""Print the lines of all processes to stdout, which may be slow, full or without a reader."""

import itertools
import os
import queue
import sys
import threading
from collections.abc import Iterable
from typing import Final

import click

from app.core.log_output import LogOutput, LostLines

_COLOURS = ("cyan", "yellow", "green", "magenta", "blue", "bright_cyan", "bright_yellow")
_LONGEST_QUEUE = 10_000
_NOTICE_SECONDS = 1.0
"""How often it is tried to say what was lost while no line comes."""
_END_SECONDS = 1.0


class Printer:
    """Prints each line after its process's name, from a thread of its own.

    What runs here reads the output of all processes; if it waited for a stopped terminal, or for a
    pipe that nobody reads, they all would. Lines beyond the longest queue are lost and counted, as
    are those that a full disk takes none of.
    """

    def __init__(self, names: Iterable[str], own_name: str) -> None:
        names = [own_name, *names]
        self._width = max(map(len, names))
        self._colours = dict(zip(names, itertools.cycle(_COLOURS), strict=False))
        self._own_name = own_name
        self._lines: queue.Queue[str | None] = queue.Queue(_LONGEST_QUEUE)
        self._strips_colours = not sys.stdout.isatty()
        self._output: Final = LogOutput(sys.stdout.fileno(), self._notice, is_patient=True)
        self._is_reported = False
        self._thread = threading.Thread(target=self._run, name="printer", daemon=True)
        self._thread.start()

    def print_line(self, name: str, line: str) -> None:
        """Print a line soon; never waits."""
        try:
            self._lines.put_nowait(f"{self._formatted(name, line)}\n")
        except queue.Full:
            self._note_loss(OSError(0, "nobody reads them, or too slowly"))

    def close(self) -> None:
        """Print what waits, but wait no longer than a second for it."""
        try:
            self._lines.put_nowait(None)
        except queue.Full:
            return
        self._thread.join(_END_SECONDS)

    def _formatted(self, name: str, line: str) -> str:
        start = click.style(f"{name:<{self._width}} |", fg=self._colours.get(name))
        text = f"{start} {line}"
        return click.unstyle(text) if self._strips_colours else text

    def _notice(self, lost: LostLines) -> str:
        return self._formatted(self._own_name, lost.describe())

    def _run(self) -> None:
        is_open = True
        while is_open:
            try:
                line = self._lines.get(timeout=_NOTICE_SECONDS)
            except queue.Empty:
                self._output.try_to_write_notice()
                continue
            is_open = line is not None
            if line is None:
                self._output.try_to_write_notice()
            elif (error := self._output.write(line)) is not None:
                self._report(error)

    def _note_loss(self, error: OSError) -> None:
        self._output.lost.add(error)
        self._report(error)

    def _report(self, error: OSError) -> None:
        """Say on stderr, once, that lines are lost, if that leads elsewhere than stdout."""
        if self._is_reported or _is_same_file(sys.stdout.fileno(), sys.stderr.fileno()):
            return
        self._is_reported = True
        reason = error.strerror or type(error).__name__
        what = f"stdout takes no lines ({reason}): they are lost, all processes go on"
        LogOutput(sys.stderr.fileno(), LostLines.describe).write(f"{self._own_name}: {what}\n")


def _is_same_file(one: int, other: int) -> bool:
    return os.path.samestat(os.fstat(one), os.fstat(other))
