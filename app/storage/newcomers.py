"""Let new tickers enter at a bounded rate, so that many new names do not hold up the others.

A new ticker counts as pending from when it enters until its first tick has written its state. Only
so many are pending at once: where the workers have no time for more, no more enter. The others
wait; those that were known before go first, then those that have waited for longest.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from app.core.tickers import is_ticker
from app.storage import keys
from app.storage.keys import Keys

MOST_PENDING = 500
"""As many first ticks as two cores run in a second or two."""
PENDING_MS = 60_000
"""A ticker without a usable record up to now gets no state: it is pending no longer than this."""
ENTERED_MS = 300_000
"""How long the ticks of a ticker come after those of the tickers that were there before."""
COHORT_MS = 10_000
"""Tickers that enter within this time, as at a start, are served alike."""
MOST_REMEMBERED = 50_000
FORGOTTEN_MS = 300_000
_BATCH = 1_000


@dataclass(frozen=True, slots=True)
class Waiting:
    """How many new tickers wait, and the first few of them."""

    number: int
    first: Sequence[str]


class Newcomers:
    """Decides which of the tickers that discovery has seen may enter now."""

    def __init__(self, client: Any, names: Keys) -> None:  # noqa: ANN401 - a server's or a cluster's client
        self._redis = client
        self._names = names
        self.newly_waiting = 0
        """How many tickers began to wait at the last look."""

    def by_standing(self, tickers: Iterable[str]) -> list[list[str]]:
        """Group tickers: those that were there, then by when they entered, then pending ones."""
        pipe = self._redis.pipeline(transaction=False)
        pipe.zrange(keys.ENTERED, 0, -1, withscores=True)
        pipe.zrange(keys.NEWCOMERS, 0, -1)
        entered, pending = pipe.execute()
        standing = {name.decode(errors="replace"): at // COHORT_MS for name, at in entered}
        standing |= dict.fromkeys(_decoded(pending), math.inf)
        groups: dict[float, list[str]] = {}
        for ticker in tickers:
            groups.setdefault(standing.get(ticker, 0.0), []).append(ticker)
        return [groups[it] for it in sorted(groups)]

    def admitted(
        self, tickers: Iterable[str], now_ms: float, active_ms: float, *, is_whole_pass: bool
    ) -> set[str]:
        """Return those of the seen tickers that are active already or may enter now.

        `is_whole_pass`: all keys were seen, so that whatever is not among them is gone.
        """
        seen = {*tickers}
        last_active = self._last_active(seen)
        active = {it for it, score in last_active.items() if score >= now_ms - active_ms}
        pending = self._still_pending(now_ms)
        new = seen - active - pending
        waiting = self._waiting()
        self.newly_waiting = 0
        self._redis.zremrangebyscore(keys.ENTERED, "-inf", now_ms - ENTERED_MS)
        if not new and not waiting:
            return seen
        in_order = sorted(new, key=lambda it: (it not in last_active, waiting.get(it, now_ms), it))
        room = max(0, MOST_PENDING - len(pending))
        entering, held_back = in_order[:room], in_order[room:]
        self._store(entering, held_back, waiting, now_ms, is_whole_pass=is_whole_pass)
        return seen.difference(held_back)

    def _last_active(self, tickers: set[str]) -> dict[str, float]:
        """Return when the known ones of some tickers were last active."""
        found: dict[str, float] = {}
        ordered = list(tickers)
        for start in range(0, len(ordered), _BATCH):
            batch = ordered[start : start + _BATCH]
            scores = zip(batch, self._redis.zmscore(keys.TICKERS, batch), strict=True)
            found |= {ticker: score for ticker, score in scores if score is not None}
        return found

    def _waiting(self) -> dict[str, float]:
        """Return since when the waiting tickers have waited."""
        found = self._redis.zrange(keys.WAITING, 0, -1, withscores=True)
        return {name.decode(errors="replace"): since for name, since in found}

    def _still_pending(self, now_ms: float) -> set[str]:
        """Return the pending tickers, without those that have a state now, or are gone."""
        found = self._redis.zrange(keys.NEWCOMERS, 0, -1, withscores=True)
        if not found:
            return set()
        since = {name.decode(errors="replace"): score for name, score in found}
        pipe = self._redis.pipeline(transaction=False)
        for ticker in since:
            pipe.exists(self._names.state(ticker))
            pipe.exists(self._names.quotes(ticker))
        replies = pipe.execute()
        has_state = {it for it, exists in zip(since, replies[::2], strict=True) if exists}
        gone = {it for it, exists in zip(since, replies[1::2], strict=True) if not exists}
        over = {it for it in since if since[it] < now_ms - PENDING_MS} | has_state | gone
        if over:
            self._redis.zrem(keys.NEWCOMERS, *over)
        if gone := gone - has_state:  # no first tick, and nothing left to analyse
            self._redis.zrem(keys.TICKERS, *gone)
        return since.keys() - over

    def _store(
        self,
        entering: Sequence[str],
        held_back: Sequence[str],
        waiting: Mapping[str, float],
        now_ms: float,
        *,
        is_whole_pass: bool,
    ) -> None:
        """Note which tickers enter and which wait; forget those that wait no more."""
        kept = {*held_back}
        over = {
            ticker
            for ticker, since in waiting.items()
            if ticker not in kept and (is_whole_pass or since < now_ms - FORGOTTEN_MS)
        }.union(waiting.keys() & {*entering})
        begun = [ticker for ticker in held_back if ticker not in waiting]
        self.newly_waiting = len(begun)
        remembered = begun[: max(0, MOST_REMEMBERED - len(waiting) + len(over))]
        pipe = self._redis.pipeline(transaction=False)
        if over:
            pipe.zrem(keys.WAITING, *over)
        if remembered:
            pipe.zadd(keys.WAITING, dict.fromkeys(remembered, now_ms))
        if held_back:
            pipe.expire(keys.WAITING, keys.WAITING_LIFETIME_SECONDS)
        if entering:
            pipe.zadd(keys.NEWCOMERS, dict.fromkeys(entering, now_ms))
            pipe.expire(keys.NEWCOMERS, keys.NEWCOMERS_LIFETIME_SECONDS)
            pipe.zadd(keys.ENTERED, dict.fromkeys(entering, now_ms))
            pipe.expire(keys.ENTERED, keys.ENTERED_LIFETIME_SECONDS)
        pipe.execute()


def read_waiting(client: Any, most: int) -> Waiting:  # noqa: ANN401 - as above
    """Return how many new tickers wait, and those that have waited for longest."""
    pipe = client.pipeline(transaction=False)
    pipe.zcard(keys.WAITING)
    pipe.zrange(keys.WAITING, 0, most - 1)
    count, first = pipe.execute(raise_on_error=False)
    if not (isinstance(count, int) and isinstance(first, list)):
        return Waiting(0, ())
    return Waiting(count, tuple(it for it in _decoded(first) if is_ticker(it)))


def _decoded(found: Iterable[bytes]) -> Iterable[str]:
    return (name.decode(errors="replace") for name in found)
