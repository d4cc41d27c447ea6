"""Trim the broker's records that no tick trims: of idle and inactive tickers, and mis-stamped ones.

A tick trims its own ticker's records in the transaction of its write. All other keys of records are
found by a SCAN of its own, a part of it each second, and trimmed by the same script.
"""

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Annotated, Any, NamedTuple

import msgspec
import redis

from app.analysis.quality_table import MIS_STAMPED_NAMES
from app.core.settings import Settings
from app.storage import keys
from app.storage.feed_lags import FeedLags
from app.storage.key_scan import KeyScan
from app.storage.keys import Keys
from app.storage.scripts import TRIM_RECORDS

PASS_SECONDS = 10
"""How long one pass over all keys takes at least, where there are over a thousand."""
SLICE_SECONDS = 0.05
"""Time for one slice: the worker that trims serves ticks too. What is left waits for the next."""
KEYS_PER_SCRIPT = 250
REMOVED_PER_SCRIPT = 2_000  # block Redis for at most 4 ms
MAX_WAITING_KEYS = 2_000
_SCAN_COUNTS = 100, 1_000  # at least, at most
_MAX_REMEMBERED_KEYS = 2_000

MIN_TICK_TIMEOUT_MS = 15_000
"""A ticker without a tick for this long, and for three intervals, is trimmed here."""


_Position = Annotated[int, msgspec.Meta(ge=0)]


class _TrimPass(msgspec.Struct):
    """Progress of the pass: cursor, cluster node, and keys found that are not done yet.

    `counted` holds, by key, how many mis-stamped records of either kind the last look left in it.
    """

    cursor: _Position = 0
    node: _Position = 0
    waiting: list[str] = []
    counted: dict[str, tuple[int, int]] = {}


class _Trimmed(NamedTuple):
    """What the script found in a key: mis-stamped records of both kinds, before and after."""

    key: str
    has_more: bool
    before: tuple[int, int]
    after: tuple[int, int]


class RecordTrimmer:
    """Trims keys of records to the retention and the maximum number, some each second."""

    def __init__(self, client: redis.Redis, names: Keys, settings: Settings) -> None:
        # `Any`: redis-py annotates every reply as possibly awaitable.
        self._redis: Any = client
        self._is_cluster = not isinstance(client, redis.Redis)
        self._scan = KeyScan(client)
        self._names = names
        tick_timeout_ms = max(MIN_TICK_TIMEOUT_MS, 3 * settings.interval_ms)
        self._limits = (
            settings.retention_seconds * 1000,
            settings.max_records,
            REMOVED_PER_SCRIPT,
            "rest",
            max(0, keys.METRICS_LIFETIME_SECONDS["10s"] * 1000 - tick_timeout_ms),
        )
        self._script = None if self._is_cluster else self._redis.register_script(TRIM_RECORDS)

    def trim_slice(self, now_ms: float) -> dict[str, int]:
        """Trim the next slice of the keys; return how many mis-stamped records came, by name."""
        trim_pass, lags = self._load(), FeedLags(self._redis).all()
        arrived = dict.fromkeys(MIS_STAMPED_NAMES, 0)
        left = self._slice_length(trim_pass)
        deadline = time.monotonic() + SLICE_SECONDS
        while time.monotonic() < deadline and (left > 0 or trim_pass.waiting):
            if left > 0 and len(trim_pass.waiting) < MAX_WAITING_KEYS:
                left -= self._scan_once(trim_pass, left)
            batch = trim_pass.waiting[:KEYS_PER_SCRIPT]
            del trim_pass.waiting[:KEYS_PER_SCRIPT]
            for found in self._trim_by_lag(batch, lags, now_ms):
                _count_arrived(trim_pass.counted, found, arrived)
                if found.has_more:
                    trim_pass.waiting.append(found.key)
        self._redis.set(
            keys.TRIMMING, msgspec.json.encode(trim_pass), ex=keys.TRIMMING_LIFETIME_SECONDS
        )
        return {name: number for name, number in arrived.items() if number}

    def _load(self) -> _TrimPass:
        """Return the stored progress, a new pass if there is none."""
        stored = self._redis.get(keys.TRIMMING)
        if stored is None:
            return _TrimPass()
        try:
            trim_pass = msgspec.json.decode(stored, type=_TrimPass)
        except (msgspec.DecodeError, RecursionError):
            return _TrimPass()
        trim_pass.waiting = self._keys_of_records(trim_pass.waiting)
        return trim_pass

    def _keys_of_records(self, found: Iterable[str]) -> list[str]:
        """Return those of some names that are keys of a ticker's records or gaps."""
        return [name for name in found if self._names.ticker_of_trimmed(name) is not None]

    def _slice_length(self, trim_pass: _TrimPass) -> int:
        """Return how many keys to scan: a tenth of all."""
        return self._scan.key_count(trim_pass) // PASS_SECONDS + 1

    def _scan_once(self, trim_pass: _TrimPass, wanted: int) -> int:
        """Run one SCAN, note the keys of records; return how many of the wanted keys are done."""
        count = max(_SCAN_COUNTS[0], min(wanted, _SCAN_COUNTS[1]))
        found = self._scan.step(trim_pass, self._names.records_pattern, count)
        trim_pass.waiting += self._keys_of_records(name.decode(errors="replace") for name in found)
        return count if trim_pass.cursor else wanted

    def _trim_by_lag(
        self, batch: Sequence[str], lags: Mapping[str, int], now_ms: float
    ) -> list[_Trimmed]:
        """Trim some keys, those of a delayed feed as of its own time."""
        by_lag: dict[int, list[str]] = {}
        for key in batch:
            ticker = self._names.ticker_of_trimmed(key) or ""
            by_lag.setdefault(lags.get(ticker, 0), []).append(key)
        return [
            found
            for lag, names in by_lag.items()
            for found in self._trim(names, now_ms - lag * 1000)
        ]

    def _trim(self, batch: Sequence[str], now_ms: float) -> list[_Trimmed]:
        """Trim some keys; return those with mis-stamped records, or with more to remove."""
        if not batch:
            return []
        key_groups = [self._key_group(key) for key in batch]
        limits = (int(now_ms), *self._limits)
        if self._script is not None:
            names = [name for group in key_groups for name in group]
            reply = self._script(keys=names, args=limits)
            return list(_parse(batch, reply))
        pipe = self._redis.pipeline(transaction=False)
        for group in key_groups:  # a script's keys must share a slot
            pipe.execute_command("EVAL", TRIM_RECORDS, len(group), *group, *limits)
        replies = zip(batch, pipe.execute(), strict=True)
        return [found for key, reply in replies for found in _parse([key], reply)]

    def _key_group(self, key: str) -> tuple[str, str, str]:
        """Return the script's keys for a key of records."""
        ticker = self._names.ticker_of_trimmed(key) or ""
        return self._names.state(ticker), self._names.metrics(ticker, "10s"), key


def _parse(batch: Sequence[str], reply: Sequence[int]) -> Iterator[_Trimmed]:
    """Parse the script's flat reply: the number of removed records, then six numbers a key."""
    numbers = iter(reply[1:])
    for position, more, *counts in zip(*[numbers] * 6, strict=True):
        before, after = (counts[0], counts[2]), (counts[1], counts[3])
        yield _Trimmed(batch[position - 1], bool(more), before, after)


def _count_arrived(
    counted: dict[str, tuple[int, int]], found: _Trimmed, arrived: dict[str, int]
) -> None:
    """Add the mis-stamped records that came since the last look at their key."""
    known = counted.pop(found.key, (0, 0))
    if len(counted) >= _MAX_REMEMBERED_KEYS:
        return
    for name, before, last in zip(MIS_STAMPED_NAMES, found.before, known, strict=True):
        arrived[name] += max(0, before - last)
    if any(found.after):
        counted[found.key] = found.after
