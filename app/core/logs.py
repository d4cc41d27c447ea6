"""Configure the log of a process: one line for each event, to stderr or a file, text or JSON."""

import logging
import sys
from collections.abc import Iterable
from typing import Literal, Protocol

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from app.core.errors import SettingError
from app.core.log_handlers import LogFileHandler, stderr_handler


class LogSettings(Protocol):
    """What is to be known of the log: the settings, or a part of them."""

    @property
    def log_level(self) -> str:
        """Return the lowest level that is logged."""

    @property
    def log_format(self) -> Literal["text", "json"]:
        """Return the form of the lines."""


def _with_traceback(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """Move the traceback into the event's line; the console renderer would print it below."""
    if "exception" in event:
        event["traceback"] = event.pop("exception")
    return event


_SHARED: list[Processor] = [
    structlog.stdlib.add_logger_name,
    structlog.stdlib.add_log_level,
    structlog.stdlib.ExtraAdder(),
    structlog.processors.TimeStamper(fmt="iso", utc=True),
    structlog.processors.format_exc_info,
    _with_traceback,
]


def _renderer(settings: LogSettings, *, colors: bool) -> Processor:
    if settings.log_format == "json":
        return structlog.processors.JSONRenderer()
    return structlog.dev.ConsoleRenderer(colors=colors, pad_event_to=0)


def _handler(path: str | None) -> logging.Handler:
    """Return where lines go; a file that is moved away, as logrotate does, is opened anew."""
    if path is None:
        return stderr_handler()
    try:
        return LogFileHandler(path)
    except OSError as error:
        raise SettingError(f"the log file {path!r} can't be written: {error.strerror}") from None


def set_up(
    settings: LogSettings,
    *,
    quiet: Iterable[str] = (),
    path: str | None = None,
    level: int | None = None,
) -> None:
    """Send this process's log to stderr, or to the file at `path`, in the configured format.

    `level` replaces the configured lowest level. Loggers named in `quiet`, of libraries that log
    each message, start at WARNING.

    Raises `SettingError` where the file can't be written.
    """
    handler = _handler(path)
    colors = path is None and sys.stderr.isatty()
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=_SHARED,
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            _renderer(settings, colors=colors),
        ],
    )
    handler.setFormatter(formatter)
    logging.basicConfig(handlers=[handler], level=level or settings.log_level, force=True)
    for name in quiet:
        logging.getLogger(name).setLevel(max(logging.WARNING, logging.getLogger().level))
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *_SHARED,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
