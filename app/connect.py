"""One way to connect to Redis, so that each process waits and retries alike."""

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from app.settings import Settings

# A Redis that does not answer for this long is away: a solo worker does nothing else meanwhile.
TIMEOUT_SECONDS = 2.0


def connect(settings: Settings, *, timeout_seconds: float = TIMEOUT_SECONDS) -> redis.Redis:
    """Return a client that repeats a command once, at once, after a lost connection.

    redis-py's own default waits up to 10 s over three retries, in which a worker's other
    tickers would wait as well; who comes each second needs no more than one retry.
    """
    return redis.Redis.from_url(
        settings.redis_url,
        socket_timeout=timeout_seconds,
        socket_connect_timeout=timeout_seconds,
        retry=Retry(NoBackoff(), 1),
    )


def address_of(client: redis.Redis) -> str:
    """Return where a client's Redis is, without user or password."""
    given = client.get_connection_kwargs()
    return str(given.get("path") or f"{given.get('host', 'localhost')}:{given.get('port', 6379)}")
