"""Connect by the transport of the fast path."""

from celery.app import amqp
from kombu.transport import redis

from tasks import broker_connection
from tasks.fast_path import transport


class Connection(broker_connection.Connection):
    """A broker connection over `transport.Transport`."""

    def get_transport_cls(self) -> type:
        """Return the transport of the fast path for Redis, and kombu's own for Sentinel."""
        found: type = super().get_transport_cls()
        return transport.Transport if found is redis.Transport else found


class AMQP(amqp.AMQP):
    """Celery's messaging over `Connection`."""

    Connection = Connection
