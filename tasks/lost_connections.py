"""Say once what Redis refuses, in place of a line of Celery or kombu for each attempt."""

import logging

from redis.exceptions import RedisError, ResponseError

from app.core.refusals import describe_refusal
from tasks.worker_context import broker_outage


class LostConnections(logging.Filter):
    """Drop what Celery and kombu log of a lost connection or a failed attempt if it is no news.

    Of a Redis that refuses, the outage's log says what; of any other error, the first is enough,
    with its text, which Celery leaves out.
    """

    def __init__(self) -> None:
        super().__init__()
        self._last = ""

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether to log a record."""
        arguments = record.args if isinstance(record.args, tuple) else ()
        raised = record.exc_info[1] if record.exc_info else None
        error = next((it for it in (*arguments, raised) if isinstance(it, RedisError)), None)
        if error is None:
            return True
        if describe_refusal(error) is not None:
            broker_outage.note_error(error)
            return False
        is_news = not isinstance(error, ResponseError) or str(error) != self._last
        self._last = str(error)
        record.args = tuple(str(it) if it is error else it for it in arguments)
        return is_news
