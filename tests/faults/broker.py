"""The plan's broker: writes a tape's records when they are due, or as a fault makes it."""

import json
import threading
import time
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from random import Random

import redis

from app.analysis.records import Quote, Record
from app.feeds.publish import member_of

PAUSE_SECONDS = 0.01
LEAD_MS = 1000.0
"""How long before its stamp a record is written: a busy test machine then makes none late."""
LATENESS_MS = (300.0, 1700.0)
SHUFFLE_MS = 400.0


@dataclass(slots=True)
class Posting:
    """A member on its way; `written_ms` is when Redis had it."""

    ticker: str
    key: str
    member: bytes
    stamp: float
    due_ms: float
    written_ms: float = 0.0
    is_copy: bool = False
    is_late: bool = False
    clock_ms: float = 0.0
    """By how much the clock that stamped it was ahead; below 0 it was behind."""


def postings_of(ticker: str, records: Iterable[Record]) -> list[Posting]:
    """Write a ticker's records as a broker would."""
    found = []
    for record in records:
        kind = "quotes" if isinstance(record, Quote) else "trades"
        key = f"orderflow:{kind}:{ticker}"
        due_ms = record.stamp - LEAD_MS
        found.append(Posting(ticker, key, member_of(record), record.stamp, due_ms))
    return found


@dataclass
class Broker:
    """Writes postings from a thread of its own; what Redis refuses is written later."""

    port: int
    random: Random
    waiting: list[Posting]
    done: list[Posting] = field(default_factory=list)
    is_silent: bool = False
    lead_ms: float = LEAD_MS
    clock_ms: float = 0.0
    """By how much the clock is ahead that stamps what is written from now on."""
    late_share: float = 0.0
    lateness_ms: tuple[float, float] = LATENESS_MS
    copied_share: float = 0.0
    shuffles: bool = False
    refusals: int = 0
    copies: int = 0
    inversions: int = 0
    delayed: int = 0
    misdated: int = 0

    def __post_init__(self) -> None:
        """Connect, and order what waits."""
        self.waiting.sort(key=lambda posting: posting.due_ms)
        self._client = redis.Redis(
            port=self.port, socket_timeout=3.0, socket_connect_timeout=1.0, retry=None
        )
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._held: list[Posting] = []

    def begin(self) -> None:
        """Write the past at once, and from then on what is due."""
        self._write(self._due())
        self._thread.start()

    def end(self) -> None:
        """Stop writing."""
        self._stop.set()
        self._thread.join()
        self._client.close()

    def add(self, postings: list[Posting]) -> None:
        """Let further postings wait for their time; only before the broker begins."""
        self.waiting = sorted([*self.waiting, *postings], key=lambda posting: posting.due_ms)

    def _run(self) -> None:
        while not self._stop.wait(PAUSE_SECONDS):
            if self.is_silent:
                continue
            due = self._due()
            if due and not self._write(due):
                self.refusals += 1
                self._held = due

    def _due(self) -> list[Posting]:
        """Take what is due, with what was refused before."""
        now_ms = time.time() * 1000.0 + self.lead_ms - LEAD_MS
        due, self._held = self._held, []
        later = []
        horizon = now_ms + (SHUFFLE_MS if self.shuffles else 0.0)
        while self.waiting and self.waiting[0].due_ms <= horizon:
            due.append(self.waiting.pop(0))
        if self.shuffles and due:
            before = [posting.stamp for posting in due]
            later = [
                p
                for p in due
                if self.random.random() < 0.5 and p.stamp - LEAD_MS > now_ms - SHUFFLE_MS
            ]
            due = [p for p in due if p not in later]
            self.inversions += sum(p.stamp < max(before) for p in later)
            for posting in later:
                posting.due_ms += self.random.random() * SHUFFLE_MS
        late = [p for p in due if not p.is_late and self.random.random() < self.late_share]
        if late:
            due = [p for p in due if p not in late]
            for posting in late:
                posting.is_late = True
                posting.due_ms = posting.stamp + self.random.uniform(*self.lateness_ms)
            self.delayed += len(late)
            later += late
        if later:
            self.waiting = sorted([*self.waiting, *later], key=lambda posting: posting.due_ms)
        if self.clock_ms:
            self.misdated += sum(_misdate(posting, self.clock_ms) for posting in due)
        return due + [_copy_of(p) for p in due if self.random.random() < self.copied_share]

    def _write(self, due: list[Posting]) -> bool:
        """Write all or nothing, so that no tick sees a half."""
        pipe = self._client.pipeline(transaction=True)
        by_key: dict[str, dict[bytes, float]] = defaultdict(dict)
        for posting in due:
            by_key[posting.key][posting.member] = posting.stamp
        for key, members in by_key.items():
            pipe.zadd(key, members)
        try:
            pipe.execute()
        except redis.RedisError:
            return False
        now_ms = time.time() * 1000.0
        for posting in due:
            posting.written_ms = now_ms
            self.copies += posting.is_copy
        self.done += due
        return True


def _misdate(posting: Posting, clock_ms: float) -> bool:
    """Stamp a record by a wrong clock; return False if it was, or holds no stamp."""
    try:
        fields = json.loads(posting.member)
    except ValueError:
        return False
    if posting.clock_ms or "timestamp" not in fields:
        return False
    posting.stamp += clock_ms
    posting.clock_ms = clock_ms
    posting.member = json.dumps(fields | {"timestamp": posting.stamp}).encode()
    return True


def _copy_of(posting: Posting) -> Posting:
    member = json.dumps(json.loads(posting.member) | {"again": 1}).encode()
    return replace(posting, member=member, is_copy=True)
