"""Find out whether Redis takes writes, by one that changes nothing."""

import redis
from redis.exceptions import RedisClusterException

from app.core.refusals import describe_refusal
from app.storage import keys


def find_refusal(client: redis.Redis) -> str | None:
    """Return what Redis refuses whoever writes, None where it takes writes.

    XX: nothing is set, since the key does not exist. All that refuses a write refuses this one.
    """
    try:
        client.set(keys.WRITE_PROBE, "", px=1, xx=True)
    except (redis.RedisError, RedisClusterException) as error:
        return describe_refusal(error)
    return None
