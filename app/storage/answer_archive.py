"""What was said, kept for an hour, so that a decision can be audited.

`text`, `json` and `png` are kept byte for byte as they were sent.
"""

import base64
import re
import secrets
from collections.abc import Mapping
from typing import Any

import redis

from app.core import clock
from app.core.errors import UnknownAnswer
from app.storage import keys

MAX_ANSWERS = 5000
_ID = re.compile(r"[a-z2-7]{8}")

Renderings = Mapping[str, bytes]
"""Forms of an answer by their names."""


def new_id() -> str:
    """Return an id that no other answer of the hour has."""
    return base64.b32encode(secrets.token_bytes(5)).decode().lower()


class AnswerArchive:
    """Keeps and finds answers, at most so many, for at most an hour."""

    def __init__(self, client: redis.Redis) -> None:
        # `Any`: redis-py's annotations promise an awaitable beside every answer.
        self._redis: Any = client

    def keep(self, answer_id: str, renderings: Renderings) -> bool:
        """Keep an answer; tells whether Redis took it."""
        now_ms = clock.now_ms()
        pipe = self._redis.pipeline(transaction=False)
        pipe.hset(keys.answer(answer_id), mapping=dict(renderings))
        pipe.expire(keys.answer(answer_id), keys.ANSWERS_LIFETIME_SECONDS)
        pipe.zadd(keys.NEWEST_ANSWERS, {answer_id: now_ms})
        forgotten_ms = now_ms - keys.ANSWERS_LIFETIME_SECONDS * 1000
        pipe.zremrangebyscore(keys.NEWEST_ANSWERS, "-inf", forgotten_ms)
        pipe.expire(keys.NEWEST_ANSWERS, keys.ANSWERS_LIFETIME_SECONDS)
        pipe.zrange(keys.NEWEST_ANSWERS, 0, -MAX_ANSWERS - 1)
        try:
            *_, too_old = pipe.execute()
            if too_old:
                names = (name.decode("ascii", "replace") for name in too_old)
                self._redis.zrem(keys.NEWEST_ANSWERS, *too_old)
                self._redis.unlink(*(keys.answer(name) for name in names))
        except redis.RedisError:
            # The answer itself stands; without an id nobody will look for it here.
            return False
        return True

    def find(self, answer_id: str) -> dict[str, bytes]:
        """Return an answer's forms by their names.

        Raises `UnknownAnswer`.
        """
        found = self._redis.hgetall(keys.answer(answer_id)) if _ID.fullmatch(answer_id) else {}
        if not found:
            raise UnknownAnswer(
                f"no answer {answer_id[:40]!r} is kept; answers are kept for an hour, "
                f"the newest {MAX_ANSWERS} at most"
            )
        return {name.decode("ascii", "replace"): rendering for name, rendering in found.items()}
