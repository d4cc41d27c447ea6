"""Create Redis clients with the same timeouts and retries in every process."""

import functools
from collections.abc import Callable
from types import TracebackType
from typing import Any, Protocol, Self, cast

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from app.core.redis_url import bracketed

# After this long Redis counts as unavailable: a solo worker is blocked meanwhile.
TIMEOUT_SECONDS = 2.0


class RedisSettings(Protocol):
    """What is to be known of the data's Redis: the settings, or a part of them."""

    @property
    def redis_url(self) -> str:
        """Return its URL with its password; never log it."""

    @property
    def redis_database(self) -> int:
        """Return the number of the database in it."""

    @property
    def cluster(self) -> bool:
        """Tell whether it is a cluster."""


def connect(settings: RedisSettings, *, timeout_seconds: float = TIMEOUT_SECONDS) -> redis.Redis:
    """Return a client that connects at its first use, and retries a command once, without a delay.

    redis-py's default waits up to 10 s over three retries, which would delay a worker's other
    tickers; a tick, repeated each second anyway, needs one retry at most.
    """
    url = settings.redis_url
    options: dict[str, Any] = {
        "socket_timeout": timeout_seconds,
        "socket_connect_timeout": timeout_seconds,
        "retry": Retry(NoBackoff(), 1),
    }
    if not settings.cluster:
        return redis.Redis.from_url(url, **options)
    # A cluster's client has the same commands, and sends each to the node that holds its keys.
    return cast(
        redis.Redis, _LazyClusterClient(lambda: redis.RedisCluster.from_url(url, **options))
    )


class _LazyClusterClient:
    """A cluster client that is created at its first use: redis-py's constructor connects."""

    def __init__(self, make: Callable[[], redis.RedisCluster]) -> None:
        self._make = make

    @functools.cached_property
    def _client(self) -> redis.RedisCluster:
        return self._make()

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - any attribute of the client
        return getattr(self._client, name)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections, if any."""
        if "_client" in self.__dict__:
            self._client.close()


def database_of(client: redis.Redis) -> int | None:
    """Return the number of a client's database; None in a cluster, which has but one."""
    if isinstance(client, _LazyClusterClient):
        return None
    return int(client.get_connection_kwargs().get("db") or 0)


def address_of(client: redis.Redis) -> str:
    """Return the address of a client's Redis, without user or password."""
    if isinstance(client, _LazyClusterClient):
        return "the cluster of REDIS_URL"
    options = client.get_connection_kwargs()
    host = bracketed(str(options.get("host", "localhost")))
    return str(options.get("path") or f"{host}:{options.get('port', 6379)}")
