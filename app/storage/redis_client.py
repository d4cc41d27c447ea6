"""One way to connect to Redis, so that each process waits and retries alike."""

import functools
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self, cast

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from app.core.settings import Settings

# A Redis that does not answer for this long is away: a solo worker does nothing else meanwhile.
TIMEOUT_SECONDS = 2.0


def connect(settings: Settings, *, timeout_seconds: float = TIMEOUT_SECONDS) -> redis.Redis:
    """Return a client that connects at its first use, and repeats a command once, at once.

    redis-py's own default waits up to 10 s over three retries, in which a worker's other
    tickers would wait as well; who comes each second needs no more than one retry.
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
    """A cluster's client made when it is first asked: redis-py's connects as soon as it is made."""

    def __init__(self, make: Callable[[], redis.RedisCluster]) -> None:
        self._make = make

    @functools.cached_property
    def _client(self) -> redis.RedisCluster:
        return self._make()

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever the client has
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
        """Let the connections go, where there are any."""
        if "_client" in self.__dict__:
            self._client.close()


def address_of(client: redis.Redis) -> str:
    """Return where a client's Redis is, without user or password."""
    if isinstance(client, _LazyClusterClient):
        return "the cluster of REDIS_URL"
    options = client.get_connection_kwargs()
    return str(
        options.get("path") or f"{options.get('host', 'localhost')}:{options.get('port', 6379)}"
    )
