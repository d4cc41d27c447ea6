"""Withhold new tickers that may be behind, until their lag is measured.

Without a settle time the first tick would fold up to the clock, and a feed that is behind would
find all of its records late. So a ticker that becomes active with an old newest record waits some
seconds: if its stamps move on meanwhile, it starts with its lag as settle time.
"""

import math
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import msgspec

from app.analysis.bars import SECOND_MS
from app.storage import keys

IN_TIME_MS = 2_000
WITHHELD_MS = 2_900
"""A little less than three of discovery's seconds."""
# Stamps that move on faster than the clock are a backlog: the lag is what is left after it.
CATCHING_UP_MS = 1_500
BACKLOG_MS = 30_000


class Seen(NamedTuple):
    """A ticker's newest usable stamp, 0 if none is known, and its score among the tickers.

    `has_arrived`: its newest record is known to have arrived since the last look.
    """

    newest: float
    score: float
    has_arrived: bool = False


class WithheldTicker(msgspec.Struct, array_like=True):
    """When a ticker was first seen and last looked at (ms), and its newest stamp then.

    `behind_ms` is the age of that stamp when it was first seen; `has_arrived`, as in `Seen`.
    """

    since: float
    looked: float
    newest: float
    score: float
    behind_ms: float
    has_arrived: bool = False

    def settle_seconds(self) -> int:
        """Return the settle time after a wait in which no newer record came."""
        return math.ceil(self.behind_ms / SECOND_MS) if self.has_arrived else 0


def measure(
    ticker: Seen, known: WithheldTicker | None, now_ms: float, reading_ms: float = 0.0
) -> WithheldTicker | int:
    """Return a new ticker's settle time in seconds, or what to remember while it waits.

    `reading_ms` is how long it took from `now_ms` on to read the stamps: a record that came
    meanwhile is so much further behind.
    """
    newest, score, has_arrived = ticker
    behind_ms = now_ms + reading_ms - newest
    if known is None:
        return WithheldTicker(now_ms, now_ms, newest, score, behind_ms, has_arrived)
    if behind_ms <= max(IN_TIME_MS, now_ms - known.looked + SECOND_MS):
        return 0
    waited_ms = now_ms - known.since
    if newest <= known.newest:
        if waited_ms >= WITHHELD_MS:
            return known.settle_seconds()
        return msgspec.structs.replace(known, looked=now_ms)
    if known.behind_ms - behind_ms < CATCHING_UP_MS or waited_ms >= BACKLOG_MS:
        return math.ceil(behind_ms / SECOND_MS)
    # Of a backlog that ends without a newer record nothing tells a lag: the ticker is quiet.
    return WithheldTicker(known.since, now_ms, newest, score, behind_ms)


class FirstLags:
    """Holds the withheld tickers, and removes the settle times of tickers that are not active."""

    def __init__(self, client: Any) -> None:  # noqa: ANN401 - a server's or a cluster's client
        self._redis = client

    def release(
        self, seen: Mapping[str, Seen], now_ms: float, active_ms: float, reading_ms: float = 0.0
    ) -> dict[str, float]:
        """Return the scores of the tickers that are active now; new ones may have to wait.

        Stores the settle times of those that were found to be behind. `reading_ms`, as in
        `measure`.
        """
        withheld, lagging = self._stored()
        behind = {t for t, it in seen.items() if it.newest and now_ms - it.newest > IN_TIME_MS}
        new = self._inactive({*behind, *lagging}, now_ms - active_ms)
        active = {ticker: it.score for ticker, it in seen.items()}
        lags: dict[str, int] = {}
        waiting: dict[str, WithheldTicker] = {}
        for ticker in behind & new:
            found = measure(seen[ticker], withheld.get(ticker), now_ms, reading_ms)
            if isinstance(found, WithheldTicker):
                waiting[ticker] = found
                del active[ticker]
            elif found:
                lags[ticker] = found
        for ticker in withheld.keys() - seen.keys():
            known = withheld[ticker]
            if now_ms - known.looked < WITHHELD_MS:
                waiting[ticker] = known
                continue
            active[ticker] = known.score
            if settle := known.settle_seconds():
                lags[ticker] = settle
        self._store(withheld.keys() - waiting.keys(), waiting, lags, (new & lagging) - lags.keys())
        return active

    def _stored(self) -> tuple[dict[str, WithheldTicker], set[str]]:
        """Return the withheld tickers, and those with a settle time."""
        pipe = self._redis.pipeline(transaction=False)
        pipe.hgetall(keys.WITHHELD)
        pipe.hkeys(keys.LAGS)
        fields, names = pipe.execute()
        withheld = {name.decode(errors="replace"): _decode(it) for name, it in fields.items()}
        readable = {ticker: it for ticker, it in withheld.items() if it is not None}
        return readable, {name.decode(errors="replace") for name in names}

    def _inactive(self, tickers: Iterable[str], oldest_ms: float) -> set[str]:
        """Return those of some tickers that were not active until now."""
        names = list(tickers)
        if not names:
            return set()
        scores = zip(names, self._redis.zmscore(keys.TICKERS, names), strict=True)
        return {ticker for ticker, score in scores if score is None or score < oldest_ms}

    def _store(
        self,
        released: Iterable[str],
        waiting: Mapping[str, WithheldTicker],
        lags: Mapping[str, int],
        gone: Iterable[str],
    ) -> None:
        pipe = self._redis.pipeline(transaction=False)
        if released := list(released):
            pipe.hdel(keys.WITHHELD, *released)
        if waiting:
            encoded = {ticker: msgspec.json.encode(it) for ticker, it in waiting.items()}
            pipe.hset(keys.WITHHELD, mapping=encoded)
            pipe.expire(keys.WITHHELD, keys.WITHHELD_LIFETIME_SECONDS)
        if gone := list(gone):
            pipe.hdel(keys.LAGS, *gone)
        if lags:
            pipe.hset(keys.LAGS, mapping=dict(lags))
            pipe.expire(keys.LAGS, keys.LAGS_LIFETIME_SECONDS)
        if len(pipe):
            pipe.execute()


def _decode(text: bytes) -> WithheldTicker | None:
    try:
        return msgspec.json.decode(text, type=WithheldTicker)
    except (msgspec.DecodeError, RecursionError):
        return None
