"""Say in one line, once a minute for each kind, which messages of the queues were left out.

Whoever can write to a queue decides what is in a message, and how many there are: values are cut
and escaped, and all are counted.
"""

import logging

from app.core.errors import ArgumentsRefused
from app.core.rare_events import OncePerMinute, shown
from tasks.worker_context import counters, log

_SHOWN_CHARACTERS = 200
# How the reports of Celery's consumer begin that hold a whole message.
_REPORTS = (
    "Received invalid task message",
    "Received and deleted unknown message",
    "Received unregistered task",
    "Can't decode message body",
)
_once_a_minute = OncePerMinute()


def refuse(task: str, error: ArgumentsRefused) -> None:
    """Count and log a message whose arguments are not those of its task."""
    _note("message refused", task, error=str(error), task=task)
    counters.flush_when_due()


def leave_out(error: str, queue: str) -> None:
    """Count and log a message that is none of this project's."""
    _note("message unreadable, left out", "", error=shown(error, _SHOWN_CHARACTERS), queue=queue)


def _note(event: str, kind: str, **fields: str) -> None:
    counters.count("messages_refused")
    left_out = _once_a_minute.left_out((event, kind))
    if left_out is not None:
        log.error(event, **fields, not_logged_since=left_out)


class OddMessages(logging.Filter):
    """Cut what Celery reports of a message to its first line; the rest is the whole message."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether to log a record."""
        template = str(record.msg)
        if not template.startswith(_REPORTS):
            return True
        counters.count("messages_refused")
        first_line = record.getMessage().partition("\n")[0]
        left_out = _once_a_minute.left_out(template[:20])
        record.msg, record.args = (
            "%s (not_logged_since=%s)",
            (
                shown(first_line, _SHOWN_CHARACTERS),
                left_out,
            ),
        )
        record.exc_info = record.exc_text = None
        return left_out is not None
