"""What was said, kept for an hour, so that a decision can be audited.

The only keys that a server writes:

    HASH   orderflow:answers:{id}       `text`, `json` and `png`, byte for byte as they were sent
    ZSET   orderflow:answers            their ids by the time they were kept
"""

import base64
import re
import secrets
from collections.abc import Mapping
from typing import Any

import redis

from app import clock
from app.errors import UnknownAnswer
from app.keys import PREFIX

LIFETIME_SECONDS = 3600
MAX_KEPT = 5000
INDEX = PREFIX + "answers"
_ID = re.compile(r"[a-z2-7]{8}")

Kept = Mapping[str, bytes]
"""Forms of an answer by their names."""


def new_id() -> str:
    """Return an id that no other answer of the hour has."""
    return base64.b32encode(secrets.token_bytes(5)).decode().lower()


class Answers:
    """Keeps and finds answers, at most so many, for at most an hour."""

    def __init__(self, client: redis.Redis) -> None:
        # `Any`: redis-py's annotations promise an awaitable beside every answer.
        self._redis: Any = client

    def keep(self, answer_id: str, forms: Kept) -> bool:
        """Keep an answer; tells whether Redis took it."""
        now_ms = clock.now_ms()
        pipe = self._redis.pipeline(transaction=False)
        pipe.hset(_key(answer_id), mapping=dict(forms))
        pipe.expire(_key(answer_id), LIFETIME_SECONDS)
        pipe.zadd(INDEX, {answer_id: now_ms})
        pipe.zremrangebyscore(INDEX, "-inf", now_ms - LIFETIME_SECONDS * 1000)
        pipe.expire(INDEX, LIFETIME_SECONDS)
        pipe.zrange(INDEX, 0, -MAX_KEPT - 1)
        try:
            *_, too_old = pipe.execute()
            if too_old:
                self._redis.zrem(INDEX, *too_old)
                self._redis.unlink(*(_key(name.decode("ascii", "replace")) for name in too_old))
        except redis.RedisError:
            # The answer itself stands; without an id nobody will look for it here.
            return False
        return True

    def find(self, answer_id: str) -> dict[str, bytes]:
        """Return an answer's forms by their names.

        Raises `UnknownAnswer`.
        """
        found = self._redis.hgetall(_key(answer_id)) if _ID.fullmatch(answer_id) else {}
        if not found:
            raise UnknownAnswer(
                f"no answer {answer_id[:40]!r} is kept; answers are kept for an hour, "
                f"the newest {MAX_KEPT} at most"
            )
        return {name.decode("ascii", "replace"): form for name, form in found.items()}


def _key(answer_id: str) -> str:
    return f"{INDEX}:{answer_id}"
