"""Handlers of logging that lose and count the lines that can't be written."""

import logging
import os
import sys
from logging.handlers import WatchedFileHandler
from typing import Any

from app.core.log_output import LogOutput, LostLines

_LOST = "log lines were lost, they could not be written"


class _Stream:
    """A `LogOutput` with the methods that the handlers of logging call."""

    def __init__(self, descriptor: int, output: LogOutput, *, closes: bool) -> None:
        self._descriptor = descriptor
        self._closes = closes
        self._output = output

    def write(self, text: str) -> None:
        self._output.write(text)

    def fileno(self) -> int:
        return self._descriptor

    def flush(self) -> None:
        """Do nothing: nothing is kept back."""

    def close(self) -> None:
        if self._closes:
            os.close(self._descriptor)


def _notice(handler: logging.Handler, lost: LostLines) -> str:
    """Return the line about lost ones, in the form of the others."""
    fields = {"name": __name__, "levelname": "WARNING", "levelno": logging.WARNING, "msg": _LOST}
    record = logging.makeLogRecord({**fields, "lost": lost.number, "error": lost.reason})
    return handler.format(record)


def stderr_handler() -> logging.Handler:
    """Return a handler that writes to this process's stderr."""
    handler: logging.StreamHandler[Any] = logging.StreamHandler(sys.stderr)
    try:
        descriptor = sys.stderr.fileno()
        output = LogOutput(descriptor, lambda lost: _notice(handler, lost))
    except (AttributeError, OSError, ValueError):  # no descriptor, or a closed one
        return handler
    handler.setStream(_Stream(descriptor, output, closes=False))
    return handler


class LogFileHandler(WatchedFileHandler):
    """Write to a file, which is opened anew when it is moved away, as logrotate does."""

    def __init__(self, path: str) -> None:
        """Open the file; raise an `OSError` where that fails."""
        self._lost = LostLines()
        super().__init__(path)

    def _open(self) -> Any:  # noqa: ANN401 - the base class declares a class of `io`
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
        descriptor = os.open(self.baseFilename, flags, 0o666)
        output = LogOutput(descriptor, lambda lost: _notice(self, lost), self._lost)
        return _Stream(descriptor, output, closes=True)

    def emit(self, record: logging.LogRecord) -> None:
        """Write a line; count it as lost where the file can't be opened anew."""
        try:
            super().emit(record)
        except OSError as error:
            self._lost.add(error)
