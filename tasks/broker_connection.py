"""Connect Celery's processes to the broker: retry each second, log the outage once."""

import time
from collections.abc import Callable
from contextlib import suppress

import kombu
import structlog
from celery.app import amqp
from redis.exceptions import NoPermissionError, ResponseError

from app.core.refusals import describe_refusal
from tasks.queues import FAN_OUT_QUEUE
from tasks.worker_context import broker_outage

_log = structlog.stdlib.get_logger("tasks.broker_connection")
_FIRST_WAIT_SECONDS = 0.2
_LONGEST_WAIT_SECONDS = 1.0
# Short, since the server answers at once: a worker needs a second more until it takes work.
_REFUSED_WAIT_SECONDS = 0.3
_PROBE_KEY = f"{FAN_OUT_QUEUE}.probe"
"""A key that never exists, under a name that whoever may use the queues may write."""


class Connection(kombu.Connection):
    """A broker connection that retries without end, with waits of at most a second.

    Celery's own waits grow to 30 s and end after 100 tries, each with a line in the log; no
    setting changes the waits (celery 5.7).
    """

    @property
    def connection_errors(self) -> tuple[type[Exception], ...]:
        """Return the errors after which a worker connects again.

        Any other ends it (celery 5.7), as would an error of Redis's own: a replica, a full disk.
        """
        return (*super().connection_errors, ResponseError)

    def ensure_connection(
        self,
        *_: object,
        callback: Callable[[], object] | None = None,
        **__: object,
    ) -> "Connection":
        """Return once connected to a Redis that takes writes.

        `callback` is called before each wait; it may raise to give up.
        """
        is_logged = False

        def log_once(error: Exception, _: float) -> None:
            nonlocal is_logged
            if describe_refusal(error) is not None:
                broker_outage.note_error(error)
            elif not is_logged:
                _log.warning("broker away, trying each second", error=str(error))
                is_logged = True

        while True:
            super().ensure_connection(
                log_once,
                interval_start=_FIRST_WAIT_SECONDS,
                interval_step=_FIRST_WAIT_SECONDS,
                interval_max=_LONGEST_WAIT_SECONDS,
                callback=callback,
            )
            try:
                self._try_to_write()
            except self.recoverable_connection_errors as error:
                log_once(error, 0.0)
            else:
                broker_outage.note_end_of_refusal()
                return self
            # A new connection may lead to another server: to the new primary after a failover.
            self.collect()
            if callback is not None:
                callback()
            time.sleep(_REFUSED_WAIT_SECONDS)

    def _try_to_write(self) -> None:
        """Raise Redis's error where it refuses writes; change nothing.

        XX: nothing is set, since the key does not exist. All that refuses a write refuses this one.
        """
        if self.transport.driver_type == "redis":
            with suppress(NoPermissionError):  # what may not be tried is seen when it is needed
                self.default_channel.client.set(_PROBE_KEY, "", px=1, xx=True)


class AMQP(amqp.AMQP):
    """Celery's messaging over `Connection`."""

    Connection = Connection
