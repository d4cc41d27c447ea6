"""Read back what a tick publishes: only numbers, known words and checked names.

The keys can be written by anyone who reaches Redis and answers are read by language models, so
that no text from a key goes further than this module unless it is one of the words below.
"""

import builtins
import math
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from app.analysis.behavior_table import BEHAVIORS, DIRECTION_OF
from app.analysis.metric_table import NUMBERS, RANKED, WORDS
from app.analysis.outcomes import HORIZON_SECONDS
from app.analysis.pattern_table import (
    CLOSE_REASONS,
    EVIDENCE_NAMES,
    EVIDENCE_WORDS,
    PATTERN_SIDES,
    PATTERN_TYPES,
)
from app.analysis.quality_table import QUALITY_COUNTS
from app.analysis.record_schemas import MIN_EPOCH_MS
from app.analysis.session import SESSION_NUMBERS
from app.analysis.trading_hours import PHASES
from app.core import errors
from app.core.calendar_setting import calendar_names

if TYPE_CHECKING:
    PatternType = str
    PatternSide = str
else:
    PatternType = Literal[PATTERN_TYPES]
    PatternSide = Literal[PATTERN_SIDES]
EvidenceClass = Literal["A", "B", "C"]
BookSide = Literal["bid", "ask"]

OTHER = "other"
_MAX_EPOCH_MS = 1e14
_TIMES = "rebuilt_at", "clock_corrected_at"
_SESSION_TIMES = "as_of", "opened_at", "closes_at", "since", "cvd_large_since"

DIRECTIONS = tuple(DIRECTION_OF.values())
_UNKNOWN_REASON = re.compile(
    r"warming(, [0-9]{1,9} of [0-9]{1,9} samples)?|no trades come"
    r"|no valid spread in all of the last 10 s"
)
_ID_END = re.compile(r"~[0-9a-z]{8}")
_ENGINE = re.compile(r"[0-9]{1,6}(\.[0-9]{1,6}){0,3}")

Number = int | float
Value = int | float | str


class EventRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A pattern event, sections 4 and 9 of the contract; times in epoch ms."""

    id: str
    type: PatternType
    side: PatternSide
    status: Literal["open", "closed"]
    opened_at: float
    noticed_at: float
    updated_at: float
    closed_at: float | None = None
    close_reason: str | None = None
    price_low: float | None = None
    price_high: float | None = None
    strength: float | None = None
    evidence_class: EvidenceClass
    statistic: float | None = None
    threshold: float | None = None
    evidence: dict[str, Any] = {}
    return_minutes: float | None = None
    at_least: bool = False


class LevelRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A price level, section 5 of the contract; times in epoch ms."""

    price: float
    side: BookSide
    appearances: int
    size: float
    first_seen: float
    last_seen: float
    held: int
    broke: int


@dataclass(frozen=True, slots=True)
class QualityRecord:
    """What was odd about a window: counts by name, gaps in epoch ms, detectors that failed."""

    counts: Mapping[str, int] = field(default_factory=dict)
    gaps: tuple[tuple[float, float], ...] = ()
    rebuilt_at: float | None = None
    failed_detectors: tuple[PatternType, ...] = ()
    clock_corrected_at: float | None = None

    @property
    def gap_seconds(self) -> float:
        """Return the time that lies in gaps."""
        return sum(end - start for start, end in self.gaps) / 1000


@dataclass(frozen=True, slots=True)
class RejectedCount:
    """Rejected records of one kind, by reason; `since_ms` is the stamp of the first."""

    since_ms: float = 0.0
    count: int = 0
    reasons: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RejectedRecords:
    """A ticker's rejected records that are newer than the newest usable one of their kind."""

    quotes: RejectedCount = RejectedCount()
    trades: RejectedCount = RejectedCount()

    def __bool__(self) -> bool:
        """Return whether there are any."""
        return self.quotes.count + self.trades.count > 0

    def reasons(self) -> dict[str, int]:
        """Return the counts of both kinds by reason."""
        counts = dict(self.quotes.reasons)
        for name, count in self.trades.reasons.items():
            counts[name] = counts.get(name, 0) + count
        return counts

    def with_quote(self, stamp_ms: float, reason: str) -> "RejectedRecords":
        """Return these records with one more quote, which is newer than the others."""
        quotes = self.quotes
        reasons = {**quotes.reasons, reason: quotes.reasons.get(reason, 0) + 1}
        since_ms = quotes.since_ms if quotes.count else stamp_ms
        return RejectedRecords(RejectedCount(since_ms, quotes.count + 1, reasons), self.trades)


# msgspec raises RecursionError for values nested 1,000 deep.
_UNREADABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)


class _Life(msgspec.Struct):
    """The fields that decide how long an event lasts: decoded in a fifth of the time of all."""

    status: str
    closed_at: float | None = None


_event = msgspec.json.Decoder(EventRecord).decode
_life = msgspec.json.Decoder(_Life).decode
_level = msgspec.json.Decoder(LevelRecord).decode
_json = msgspec.json.Decoder().decode


def read_number(text: bytes | None) -> Number | None:
    """Read a finite number, whole ones as int; None for anything else."""
    try:
        value = float(text or b"")
    except ValueError:
        return None
    if not math.isfinite(value):
        return None
    return int(value) if value.is_integer() else value


def read_events(members: Iterable[bytes], ticker: str) -> list[EventRecord]:
    """Decode a ticker's events; a member that is none is left out."""
    return [event for member in members if (event := read_event(member, ticker)) is not None]


def events_after(members: Iterable[bytes], ticker: str, since_ms: float) -> list[EventRecord]:
    """Decode a ticker's events that are open, or were closed after `since_ms`."""
    return read_events([member for member in members if _lasts(member, since_ms)], ticker)


def _lasts(member: bytes, since_ms: float) -> bool:
    try:
        life = _life(member)
    except _UNREADABLE:
        return False
    return life.status == "open" or (life.closed_at is not None and life.closed_at > since_ms)


def read_event(member: bytes, ticker: str) -> EventRecord | None:
    """Decode one event of `ticker`, None where it is none."""
    try:
        event = _event(member)
    except _UNREADABLE:
        return None
    if not event.id.startswith(ticker) or not _ID_END.fullmatch(event.id[len(ticker) :]):
        return None
    closed_at = event.opened_at if event.closed_at is None else event.closed_at
    if not all(map(is_epoch_ms, (event.opened_at, event.noticed_at, event.updated_at, closed_at))):
        return None
    reason = event.close_reason
    return msgspec.structs.replace(
        event,
        close_reason=reason if reason is None or reason in CLOSE_REASONS else OTHER,
        evidence=_evidence(event.evidence),
    )


def _evidence(raw: Mapping[str, Any]) -> dict[str, Value]:
    return {
        name: value for name, value in raw.items() if name in EVIDENCE_NAMES and _is_fact(value)
    }


def _is_fact(value: object) -> bool:
    if isinstance(value, str):
        return value in EVIDENCE_WORDS
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def read_levels(members: Iterable[bytes]) -> list[LevelRecord]:
    """Decode levels; a member that is none is left out."""
    levels = []
    for member in members:
        try:
            levels.append(_level(member))
        except _UNREADABLE:
            continue
    return levels


def read_metrics(fields: Mapping[bytes, bytes]) -> dict[str, Value]:
    """Take a metrics hash's numbers and words."""
    metrics: dict[str, Value] = {}
    for key, text in fields.items():
        name = key.decode("ascii", "replace")
        value = (
            _word(text, WORDS[name])
            if name in WORDS
            else read_number(text)
            if name in NUMBERS
            else None
        )
        if value is not None:
            metrics[name] = value
    return metrics


def read_ranks(text: bytes | None) -> dict[str, float]:
    """Take a window's ranks: known metrics, in their order, with shares of 0 to 1."""
    raw = _object(text)
    shares = {name: raw[name] for name in RANKED if name in raw}
    return {name: share for name, share in shares.items() if _is_share(share)}


def _is_share(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value <= 1


def _word(text: bytes, words: Collection[str]) -> str | None:
    word = text.decode("ascii", "replace")
    return word if word in words else None


def _object(text: bytes | None) -> dict[str, Any]:
    try:
        value = _json(text or b"{}")
    except _UNREADABLE:
        return {}
    return value if isinstance(value, dict) else {}


def read_behaviors(text: bytes | None) -> dict[str, str]:
    """Take the behaviours' states and directions, in the contract's order."""
    raw = _object(text)
    states = {name: _state(raw[name]) for name in BEHAVIORS if name in raw}
    directions = {name: raw[name] for name in DIRECTIONS if raw.get(name) in ("up", "down")}
    return states | directions


def _state(text: object) -> str:
    if text in ("on", "off", "unknown"):
        return str(text)
    reason = str(text).removeprefix("unknown:").strip()
    return f"unknown: {reason if _UNKNOWN_REASON.fullmatch(reason) else OTHER}"


def read_quality(text: bytes | None, start_ms: float = 0) -> QualityRecord:
    """Take a window's quality; gaps are cut at the window's start."""
    raw = _object(text)
    gaps = (_gap(found) for found in _list(raw.get("gaps")))
    rebuilt_at, corrected_at = raw.get("rebuilt_at"), raw.get("clock_corrected_at")
    failed = _list(raw.get("failed_detectors"))
    return QualityRecord(
        read_counts(raw),
        tuple((max(gap[0], start_ms), gap[1]) for gap in gaps if gap and gap[1] > start_ms),
        _time(rebuilt_at),
        tuple(name for name in PATTERN_TYPES if name in failed),
        _time(corrected_at),
    )


def _time(value: object) -> Number | None:
    return value if isinstance(value, (int, float)) and is_epoch_ms(value) else None


def read_rejected(text: bytes | None) -> RejectedRecords:
    """Take what a state tells of rejected records; what has another form counts as none."""
    raw = _object(text)
    return RejectedRecords(_rejected(raw.get("quotes")), _rejected(raw.get("trades")))


def _rejected(value: object) -> RejectedCount:
    match value:
        case {"since": float() | int() as since, "count": int() as count, "reasons": dict() as raw}:
            if not isinstance(count, bool) and count > 0 and is_epoch_ms(since):
                return RejectedCount(float(since), count, read_counts(raw))
    return RejectedCount()


def is_epoch_ms(stamp: Number) -> bool:
    """Return whether a number can be a time of this or a near century in epoch ms."""
    return MIN_EPOCH_MS <= stamp <= _MAX_EPOCH_MS


def read_stamp(text: bytes | None) -> Number | None:
    """Read an epoch time in ms; None for anything else."""
    stamp = read_number(text)
    return stamp if stamp is not None and is_epoch_ms(stamp) else None


def read_counts(raw: Mapping[str, Any]) -> dict[str, int]:
    """Take counts by name, nested ones too; an unknown name counts as other."""
    counts: dict[str, int] = {}
    for name, value in raw.items():
        if isinstance(value, dict):
            nested = read_counts(value)
        elif isinstance(value, int) and not isinstance(value, bool) and name not in _TIMES:
            nested = {name if name in QUALITY_COUNTS else OTHER: value}
        else:
            continue
        for inner, count in nested.items():
            counts[inner] = counts.get(inner, 0) + count
    return counts


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _gap(value: object) -> tuple[float, float] | None:
    match value:
        case [int() | float() as start, int() | float() as end]:
            return float(start), float(end)
    return None


def read_engine(text: bytes | None) -> str | None:
    """Return the version of the definitions if it has a version's form."""
    version = (text or b"").decode("ascii", "replace")
    return version if _ENGINE.fullmatch(version) else None


def read_error_name(text: bytes | None) -> str:
    """Return the name of an error class if there is one of that name, else a general word."""
    name = (text or b"").decode("ascii", "replace")
    for home in (builtins, errors):
        kind = getattr(home, name, None)
        if isinstance(kind, type) and issubclass(kind, Exception):
            return name
    return "unnamed error"


class FollowedRecord(msgspec.Struct, frozen=True, kw_only=True):
    """What followed events of one type and side: moves of the mid in bp, and shares.

    With too few events or blocks only `n` and `blocks` are known.
    """

    n: int
    blocks: int = 0
    insufficient: bool = False
    mean_bps: float | None = None
    low_bps: float | None = None
    high_bps: float | None = None
    up: float | None = None
    up_low: float | None = None
    up_high: float | None = None
    unchanged: float | None = None
    unchanged_low: float | None = None
    unchanged_high: float | None = None
    down: float | None = None
    down_low: float | None = None
    down_high: float | None = None
    baseline_n: int | None = None
    baseline_mean_bps: float | None = None
    baseline_low_bps: float | None = None
    baseline_high_bps: float | None = None
    baseline_up: float | None = None
    baseline_unchanged: float | None = None
    baseline_down: float | None = None


_followed = msgspec.json.Decoder(FollowedRecord).decode


def read_followed(texts: Iterable[bytes | None]) -> dict[int, FollowedRecord]:
    """Take what followed events, by the horizon in seconds; `texts` has one for each horizon."""
    records = zip(HORIZON_SECONDS, map(read_followed_text, texts), strict=True)
    return {seconds: record for seconds, record in records if record is not None}


def read_followed_text(text: bytes | None) -> FollowedRecord | None:
    """Take what followed events at one horizon, None where nothing is told."""
    try:
        record = _followed(text or b"")
    except _UNREADABLE:
        return None
    return record if record.n > 0 else None


def read_session(fields: Mapping[bytes, bytes]) -> dict[str, Value]:
    """Take the numbers of a session, its phase and its calendar."""
    found: dict[str, Value] = {}
    for key, text in fields.items():
        name = key.decode("ascii", "replace")
        value: Value | None = None
        if name in SESSION_NUMBERS:
            value = read_stamp(text) if name in _SESSION_TIMES else read_number(text)
        elif name == "phase":
            value = _word(text, PHASES)
        elif name == "calendar":
            value = _word(text, calendar_names())
        if value is not None:
            found[name] = value
    return found


@dataclass(frozen=True, slots=True)
class FeedRecord:
    """What a feed says of itself, section 8 of the contract; what it does not say is None."""

    source: str | None = None
    scope: str | None = None
    stamps: str | None = None
    delay_ms: Number | None = None
    market_share: Number | None = None
    alive_at: Number | None = None


FEED_SCOPES = ("venue", "consolidated", "simulated", "replayed")
FEED_STAMPS = ("venue", "receive")
FEED_FIELDS = frozenset({b"source", b"scope", b"stamps", b"delay_ms", b"market_share", b"alive_at"})
"""All else in a feed's hash is ignored."""
_FEED_SOURCE = re.compile(r"[a-z0-9._-]{1,32}")


def read_feed(fields: Mapping[bytes, bytes]) -> FeedRecord | None:
    """Take what a feed says of itself, None where it says nothing that can be used."""
    source = (fields.get(b"source") or b"").decode("ascii", "replace")
    share = read_number(fields.get(b"market_share"))
    delay_ms = read_number(fields.get(b"delay_ms"))
    found = FeedRecord(
        source=source if _FEED_SOURCE.fullmatch(source) else None,
        scope=_word(fields.get(b"scope") or b"", FEED_SCOPES),
        stamps=_word(fields.get(b"stamps") or b"", FEED_STAMPS),
        delay_ms=delay_ms if delay_ms is not None and delay_ms >= 0 else None,
        market_share=share if _is_share(share) else None,
        alive_at=read_stamp(fields.get(b"alive_at")),
    )
    return None if found == FeedRecord() else found
