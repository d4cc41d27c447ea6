"""Bound what the libraries of the server log about requests, which clients cause and word."""

import logging

from app.core.rare_events import OncePerMinute, shown

LINE_CHARACTERS = 300
LIBRARIES = ("mcp", "uvicorn", "sse_starlette", "starlette")


class BoundLibraryLines(logging.Filter):
    """Pass each statement of a library once a minute, with its text cut and escaped."""

    def __init__(self) -> None:
        super().__init__()
        self._once = OncePerMinute()

    def filter(self, record: logging.LogRecord) -> bool:
        """Tell whether to log a record; shorten it if so."""
        if record.name.partition(".")[0] not in LIBRARIES:
            return True
        error = record.exc_info[0] if record.exc_info else None
        # The statement, not its text: the text holds what the client sent.
        left_out = self._once.left_out((record.pathname, record.lineno, error))
        if left_out is None:
            return False
        more = f" ({left_out} more since the last such line)" if left_out else ""
        record.msg, record.args = shown(record.getMessage(), LINE_CHARACTERS) + more, ()
        return True


def bound_library_lines() -> None:
    """Bound the libraries' lines in every handler of the root logger."""
    bound = BoundLibraryLines()
    for handler in logging.getLogger().handlers:
        handler.addFilter(bound)
