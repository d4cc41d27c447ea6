"""What agents were told in the last hour: the archived answers, listed and one by one."""

import json
from collections.abc import Mapping
from typing import Any, Final

import msgspec
import redis

from app.core.tickers import is_ticker
from app.storage.answer_archive import AnswerArchive
from app.storage.published import is_epoch_ms
from app.storage.store_errors import store_errors

MAX_LISTED: Final = 100
MAX_TITLE_LETTERS: Final = 160


class KeptAnswer(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """One answer: when it was told, of which ticker if of one, its first line or all of its text.

    `as_of` is the tick that it told of.
    """

    id: str
    at: int | None = None
    ticker: str | None = None
    as_of: int | None = None
    title: str | None = None
    text: str | None = None


class KeptAnswers:
    """Reads the archive of answers for people."""

    def __init__(self, client: redis.Redis) -> None:
        self._redis = client
        self._archive = AnswerArchive(client)

    def newest_at(self) -> int | None:
        """Return when the newest answer was told, None if none is kept.

        Raises `StoreUnavailable` without Redis.
        """
        with store_errors(self._redis):
            newest = self._archive.newest(1)
        return round(newest[0][1]) if newest else None

    def listed(self, since_ms: float = 0.0) -> list[KeptAnswer]:
        """Return the newest answers after a moment, the newest first, each with its first line.

        Raises `StoreUnavailable` without Redis.
        """
        with store_errors(self._redis):
            newest = self._archive.newest(MAX_LISTED, since_ms)
            kept = self._archive.find_all([answer_id for answer_id, _ in newest])
        return [
            _kept_answer(answer_id, at_ms, renderings, is_whole=False)
            for (answer_id, at_ms), renderings in zip(newest, kept, strict=True)
            if renderings
        ]

    def one(self, answer_id: str) -> KeptAnswer:
        """Return an answer with all of its text.

        Raises `UnknownAnswer`; `StoreUnavailable` without Redis.
        """
        with store_errors(self._redis):
            renderings = self._archive.find(answer_id)
            at_ms = self._archive.told_at(answer_id)
        return _kept_answer(answer_id, at_ms, renderings, is_whole=True)


def _kept_answer(
    answer_id: str, at_ms: float | None, renderings: Mapping[str, bytes], *, is_whole: bool
) -> KeptAnswer:
    facts = _facts(renderings.get("json", b""))
    ticker, as_of = facts.get("ticker"), facts.get("as_of")
    text = renderings.get("text", b"").decode("utf-8", "replace")
    return KeptAnswer(
        id=answer_id,
        at=None if at_ms is None else round(at_ms),
        ticker=ticker if isinstance(ticker, str) and is_ticker(ticker) else None,
        as_of=as_of if isinstance(as_of, int) and is_epoch_ms(as_of) else None,
        title=text.partition("\n")[0][:MAX_TITLE_LETTERS],
        text=text if is_whole else None,
    )


def _facts(packed: bytes) -> Mapping[str, Any]:
    """Return an answer's JSON, nothing where it is none."""
    try:
        found = json.loads(packed)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
