"""How Celery's processes connect to the broker: they keep trying, quickly, and say it once."""

from collections.abc import Callable

import kombu
import structlog
from celery.app import amqp
from kombu.transport import redis

from tasks.fast_path import transport

_log = structlog.stdlib.get_logger("tasks.fast_path.connection")
_FIRST_WAIT_SECONDS = 0.2
_LONGEST_WAIT_SECONDS = 1.0


class Connection(kombu.Connection):
    """A broker connection that tries each second for ever.

    Celery's own waits grow to 30 s and end after 100 tries, each with its line in the log; no
    setting changes the waits (celery 5.7).
    """

    def get_transport_cls(self) -> type:
        """Return the transport that survives what is no message; Sentinel's is kombu's own."""
        found: type = super().get_transport_cls()
        return transport.Transport if found is redis.Transport else found

    def ensure_connection(
        self,
        *_: object,
        callback: Callable[[], object] | None = None,
        **__: object,
    ) -> "Connection":
        """Return once connected; `callback` is asked before each wait whether to go on."""
        said = False

        def say_once(error: Exception, _: float) -> None:
            nonlocal said
            if not said:
                _log.warning("broker away, trying each second", error=str(error))
            said = True

        self._ensure_connection(
            say_once,
            interval_start=_FIRST_WAIT_SECONDS,
            interval_step=_FIRST_WAIT_SECONDS,
            interval_max=_LONGEST_WAIT_SECONDS,
            callback=callback,
        )
        return self


class AMQP(amqp.AMQP):
    """Celery's messaging over that connection."""

    Connection = Connection
