"""Say in one line what keeps Redis from answering."""

import contextlib
from collections.abc import Iterator

import redis
from redis.exceptions import RedisClusterException

from app.core.errors import StoreUnavailable
from app.core.refusals import describe_refusal
from app.storage.redis_client import address_of, database_of


@contextlib.contextmanager
def store_errors(client: redis.Redis) -> Iterator[None]:
    """Raise redis-py's errors as `StoreUnavailable`, with a one-line message without secrets."""
    try:
        yield
    except (redis.RedisError, RedisClusterException) as error:
        described = describe_refusal(error, database_of(client)) or _describe_error(error)
        raise StoreUnavailable(f"Redis at {address_of(client)} {described}") from error


def _describe_error(error: Exception) -> str:
    match error:
        case redis.AuthenticationError() | redis.exceptions.NoPermissionError():
            return "refuses the user or password: check REDIS_PASSWORD or REDIS_URL"
        case redis.TimeoutError():
            return "does not answer in time: check that it runs and is not overloaded"
        case redis.ConnectionError() | RedisClusterException():
            return "can't be reached: check that it runs and that REDIS_URL or REDIS_HOST names it"
    return f"answers with an error ({type(error).__name__}): see its log"
