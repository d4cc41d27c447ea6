"""Leave out what Celery logs of each lost connection to a Redis that answers with errors."""

import logging

from redis.exceptions import RedisError, ResponseError

from app.core.refusals import describe_refusal


class LostConnections(logging.Filter):
    """Drop what Celery logs of a lost connection where it is no news.

    Of a Redis that refuses, `broker_connection` says what; of any other error, the first is enough,
    with its text, which Celery leaves out.
    """

    def __init__(self) -> None:
        super().__init__()
        self._last = ""

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether to log a record."""
        arguments = record.args if isinstance(record.args, tuple) else ()
        error = next((it for it in arguments if isinstance(it, RedisError)), None)
        if error is None:
            return True
        if describe_refusal(error) is not None:
            return False
        is_news = not isinstance(error, ResponseError) or str(error) != self._last
        self._last = str(error)
        record.args = tuple(str(it) if it is error else it for it in arguments)
        return is_news
