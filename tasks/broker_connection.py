"""Connect Celery's processes to the broker: retry each second, log the outage once."""

from collections.abc import Callable

import kombu
import structlog
from celery.app import amqp

_log = structlog.stdlib.get_logger("tasks.broker_connection")
_FIRST_WAIT_SECONDS = 0.2
_LONGEST_WAIT_SECONDS = 1.0


class Connection(kombu.Connection):
    """A broker connection that retries without end, with waits of at most a second.

    Celery's own waits grow to 30 s and end after 100 tries, each with a line in the log; no
    setting changes the waits (celery 5.7).
    """

    def ensure_connection(
        self,
        *_: object,
        callback: Callable[[], object] | None = None,
        **__: object,
    ) -> "Connection":
        """Return once connected; call `callback` before each wait, which may raise to give up."""
        is_logged = False

        def log_once(error: Exception, _: float) -> None:
            nonlocal is_logged
            if not is_logged:
                _log.warning("broker away, trying each second", error=str(error))
            is_logged = True

        super().ensure_connection(
            log_once,
            interval_start=_FIRST_WAIT_SECONDS,
            interval_step=_FIRST_WAIT_SECONDS,
            interval_max=_LONGEST_WAIT_SECONDS,
            callback=callback,
        )
        return self


class AMQP(amqp.AMQP):
    """Celery's messaging over `Connection`."""

    Connection = Connection
