"""Store answers for an hour, so that a decision can be audited.

`text`, `json` and `png` are stored byte for byte as they were sent.
"""

import base64
import re
import secrets
from collections.abc import Mapping, Sequence
from typing import Any

import redis

from app.core import clock
from app.core.errors import UnknownAnswer
from app.storage import keys

MAX_ANSWERS = 5000
_ID = re.compile(r"[a-z2-7]{8}")

QUESTION = "question"
"""The tool and the arguments that an answer was asked for with, as JSON."""
WORDS = (QUESTION, "text", "json")

Renderings = Mapping[str, bytes]
"""Renderings of an answer by name: `text`, `json`, `png`; and its question."""


def new_id() -> str:
    """Return a random id: 40 bits, so unique within an hour's answers."""
    return base64.b32encode(secrets.token_bytes(5)).decode().lower()


def is_answer_id(text: str) -> bool:
    """Return whether a text has the form of an answer's id."""
    return _ID.fullmatch(text) is not None


class AnswerArchive:
    """Stores and finds answers: the newest `MAX_ANSWERS`, for an hour at most."""

    def __init__(self, client: redis.Redis) -> None:
        # `Any`: redis-py annotates every reply as possibly awaitable.
        self._redis: Any = client

    def keep(self, answer_id: str, renderings: Renderings) -> bool:
        """Store an answer; return whether Redis accepted it."""
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
            # The answer is still sent, without an id, so nobody will look it up.
            return False
        return True

    def newest(self, most: int, since_ms: float = 0.0) -> list[tuple[str, float]]:
        """Return the ids and times of the newest answers after `since_ms`, the newest first."""
        found = self._redis.zrevrangebyscore(
            keys.NEWEST_ANSWERS, "+inf", f"({since_ms!r}", 0, most, withscores=True
        )
        named = ((name.decode("ascii", "replace"), at_ms) for name, at_ms in found)
        return [(name, at_ms) for name, at_ms in named if _ID.fullmatch(name)]

    def find_all(self, answer_ids: Sequence[str]) -> list[dict[str, bytes]]:
        """Return what answers say, without pictures; nothing of one that is no longer kept."""
        pipe = self._redis.pipeline(transaction=False)
        for answer_id in answer_ids:
            pipe.hmget(keys.answer(answer_id), WORDS)
        found = (zip(WORDS, rendered, strict=True) for rendered in pipe.execute())
        return [{name: it for name, it in named if it is not None} for named in found]

    def told_at(self, answer_id: str) -> float | None:
        """Return when an answer was told, None where that is no longer kept."""
        at_ms: float | None = self._redis.zscore(keys.NEWEST_ANSWERS, answer_id)
        return at_ms

    def find(self, answer_id: str) -> dict[str, bytes]:
        """Return an answer's renderings by name.

        Raises `UnknownAnswer`.
        """
        found = self._redis.hgetall(keys.answer(answer_id)) if _ID.fullmatch(answer_id) else {}
        if not found:
            raise UnknownAnswer(
                f"no answer {answer_id[:40]!r} is kept; answers are kept for an hour, "
                f"the newest {MAX_ANSWERS} at most"
            )
        return {name.decode("ascii", "replace"): rendering for name, rendering in found.items()}

    def told_at_by_id(self) -> dict[str, float]:
        """Return when each answer was told (epoch ms) that is still stored, the oldest first."""
        found = self._redis.zrange(keys.NEWEST_ANSWERS, 0, -1, withscores=True)
        named = ((name.decode("ascii", "replace"), at_ms) for name, at_ms in found)
        return {name: at_ms for name, at_ms in named if _ID.fullmatch(name)}
