"""Open, update and close pattern events, and rank their strength within the ticker's past."""

import base64
import hashlib
import math
from array import array
from bisect import bisect_left
from dataclasses import dataclass, field, fields
from typing import Final

from mypy_extensions import mypyc_attr

from app.analysis.bars import SECOND_MS, whole_second
from app.analysis.pattern_table import MERGED, POINT_TYPES
from app.analysis.patterns.noticed_seconds import NoticedSeconds
from app.analysis.price_units import (
    DEFAULT_DIGITS,
    FLOAT_UNITS_PER_ONE,
    UNITS_PER_ONE,
    digits_needed,
    published_price,
)
from app.analysis.return_periods import (
    Noticed,
    ObservedTime,
    PastEvents,
    RecentEvents,
    return_period,
)

REOPEN_WITHIN_MS: Final = 5000.0
MAX_CANDIDATES: Final = 500
MIN_CANDIDATES: Final = 50

Evidence = dict[str, float | int | str]


@mypyc_attr(acyclic=True)
@dataclass(slots=True)
class Event:
    """One pattern event; fields up to `evidence` are published (contract, section 4).

    So is `return_minutes` (section 9) where it is known, and `at_least` where it is true. `key` is
    its key in `Events.live`. `closing_at` and `closing_reason` hold a closing condition that came
    true; the event closes `REOPEN_WITHIN_MS` later unless it opens again before.
    """

    id: str
    type: str
    side: str
    status: str
    opened_at: float
    noticed_at: int
    updated_at: int
    closed_at: float | None
    close_reason: str | None
    price_low: float | None
    price_high: float | None
    strength: float | None
    evidence_class: str
    statistic: float
    threshold: float
    evidence: Evidence
    key: str = ""
    closing_at: float | None = None
    closing_reason: str = ""
    is_changed: bool = True
    return_minutes: float | None = None
    at_least: bool = False

    def is_closed_for_good(self, at: float) -> bool:
        """Return whether the time in which a closing event may open again is over."""
        if self.closing_at is None:
            return False
        return at >= self.closing_at + (0.0 if self.type in POINT_TYPES else REOPEN_WITHIN_MS)


_EVENT_FIELDS = [f.name for f in fields(Event)]
PUBLISHED_FIELDS = tuple(_EVENT_FIELDS[: _EVENT_FIELDS.index("evidence") + 1])


@dataclass(slots=True)
class Opening:
    """An opening condition that came true: what an event is made from; prices in price units.

    `is_of_peak`: the evidence belongs to the statistic, so that an event that goes on with a lower
    one keeps both.
    """

    type: str
    side: str
    opened_at: float
    completed_at: float
    statistic: float
    threshold: float
    evidence_class: str
    evidence: Evidence
    price_low: int | None = None
    price_high: int | None = None
    key: str = ""
    is_of_peak: bool = False


class Candidates:
    """Peak statistics of the newest candidates of one type, by the second in which they ended.

    Small, since every ticker holds a dozen of these: seconds are 32-bit integers, peaks 32-bit
    floats, and compared as such.
    """

    __slots__ = ("is_changed", "peaks", "seconds")

    def __init__(self, packed: bytes = b"") -> None:
        self.seconds = array("I")
        self.peaks = array("f")
        self.is_changed = False
        seconds_bytes = len(packed) // 2
        self.seconds.frombytes(packed[:seconds_bytes])
        self.peaks.frombytes(packed[seconds_bytes:])

    def packed(self) -> bytes:
        """Return the bytes from which the constructor makes an equal object."""
        return self.seconds.tobytes() + self.peaks.tobytes()

    def add_candidate(self, at: float, peak: float) -> None:
        """Add a candidate that ended."""
        self.is_changed = True
        self.seconds.append(math.ceil(at / SECOND_MS))
        self.peaks.append(peak)
        if len(self.seconds) > MAX_CANDIDATES:
            del self.seconds[0], self.peaks[0]

    def strength(self, peak: float, before: float) -> float | None:
        """Return the rank of `peak` among the candidates that ended before the second of `before`.

        (below + equal/2 + ½)/(n + 1), so that ties count half; None where n < 50.
        """
        n = bisect_left(self.seconds, math.ceil(before / SECOND_MS))
        if n < MIN_CANDIDATES:
            return None
        peak = array("f", [peak])[0]
        below = equal = 0
        # A list, and counted by hand: compiled, it takes a fifth of the time.
        others: list[float] = self.peaks[:n].tolist()
        for other in others:
            if other < peak:
                below += 1
            elif other == peak:
                equal += 1
        return (below + equal / 2 + 0.5) / (n + 1)


@dataclass(slots=True)
class Events:
    """A ticker's live events by type and key, its candidates, and recently closed events.

    `closed` are the events closed since the last `take_changed`. The codec packs the candidates and
    the `past` events, both by type, apart from the rest: they are large and change seldom. Prices
    are in units of 10^-`digits`. `_recent` are what the newest event of a type was compared with,
    until one of these changes. `_noticed` are, once one of a type closes, when its living ones were
    noticed. Both are forgotten with each tick.
    """

    ticker: str
    live: dict[str, Event] = field(default_factory=dict)
    closed: list[Event] = field(default_factory=list)
    candidates: dict[str, Candidates] = field(default_factory=dict, init=False)
    digits: int = field(default=DEFAULT_DIGITS, init=False)
    past: dict[str, PastEvents] = field(default_factory=dict, init=False)
    observed: ObservedTime = field(default_factory=ObservedTime)
    _recent: dict[str, RecentEvents] = field(default_factory=dict, init=False)
    _noticed: dict[str, NoticedSeconds] = field(default_factory=dict, init=False)

    def open_or_extend(self, opening: Opening) -> Event:
        """Open an event, or continue the live one of the same type and key."""
        key = f"{opening.type}|{opening.key or opening.side}"
        if opening.type in POINT_TYPES:
            key = f"{key}|{opening.opened_at}|{opening.price_low}"
        event = self.live.get(key)
        if event is not None and event.is_closed_for_good(opening.completed_at):
            self._close(key)
            event = None
        if event is None:
            event = self.live[key] = self._new_event(opening, key)
        elif event.closing_at is not None:
            event.closing_at = None
            if opening.statistic > event.statistic or not opening.is_of_peak:
                self.lower_evidence_class(event, opening.completed_at, opening.evidence_class)
                self.update(event, opening.completed_at, opening.statistic, opening.evidence)
        return event

    def _new_event(self, opening: Opening, key: str) -> Event:
        noticed_at = whole_second(opening.completed_at)
        if opening.type in self._noticed:
            self._noticed[opening.type].add(noticed_at)
        event = Event(
            id=event_id(self.ticker, opening, self.digits),
            type=opening.type,
            side=opening.side,
            status="open",
            opened_at=float(opening.opened_at),
            noticed_at=noticed_at,
            updated_at=noticed_at,
            closed_at=None,
            close_reason=None,
            price_low=_price(opening.price_low, self.digits),
            price_high=_price(opening.price_high, self.digits),
            strength=self.candidates_of(opening.type).strength(
                opening.statistic, opening.opened_at
            ),
            evidence_class=opening.evidence_class,
            statistic=float(opening.statistic),
            threshold=float(opening.threshold),
            evidence=opening.evidence,
            key=key,
        )
        recent = self._recent.get(event.type)
        if recent is not None and noticed_at < recent.noticed_at:
            del self._recent[event.type]
        self._set_return_period(event, noticed_at)
        return event

    def _set_return_period(self, event: Event, at: int) -> None:
        """Set an event's return period as of a whole second, if it can be known then."""
        if self.observed.is_enough(at):
            past = self.past_of(event.type)
            greater = past.count_greater(event.statistic, at, self._recent_of(event, at))
            found = return_period(greater, self.observed, at)
            event.return_minutes, event.at_least = found.minutes, found.at_least

    def _recent_of(self, event: Event, at: int) -> RecentEvents:
        """Return the events of a type that live or wait, noticed before this one."""
        kept = self._recent.get(event.type)
        if kept is not None and kept.noticed_at == event.noticed_at and kept.at == at:
            return kept
        living = [
            Noticed(other.noticed_at, other.statistic)
            for other in self.live.values()
            if other.type == event.type and other.noticed_at < event.noticed_at
        ]
        found = RecentEvents(event.noticed_at, at, living, self.past_of(event.type))
        self._recent[event.type] = found
        return found

    def past_of(self, pattern_type: str) -> PastEvents:
        """Return the past events of a type."""
        past = self.past.get(pattern_type)
        if past is None:
            past = self.past[pattern_type] = PastEvents()
        return past

    def use_finer_unit(self, digits: int) -> None:
        """Set the unit of prices, and write the live events' keys in it."""
        factor = UNITS_PER_ONE[digits - self.digits]
        self.digits = digits
        live: dict[str, Event] = {}
        for event in self.live.values():
            event.key = _key_in_unit(event, factor)
            live[event.key] = event
        self.live = live

    def candidates_of(self, pattern_type: str) -> Candidates:
        """Return the candidates of a type."""
        candidates = self.candidates.get(pattern_type)
        if candidates is None:
            candidates = self.candidates[pattern_type] = Candidates()
        return candidates

    def find(self, pattern_type: str, key: str) -> Event | None:
        """Return the live event of a type and key that is not closing."""
        event = self.live.get(f"{pattern_type}|{key}")
        return event if event is not None and event.closing_at is None else None

    def update(self, event: Event, at: float, statistic: float, evidence: Evidence) -> None:
        """Update an event's evidence, and its strength where the statistic reaches a new peak."""
        is_peak = statistic > event.statistic
        if not is_peak and event.evidence == evidence:
            return
        if is_peak:
            event.statistic = float(statistic)
            self._recent.pop(event.type, None)
            event.strength = self.candidates_of(event.type).strength(statistic, event.opened_at)
            self._set_return_period(event, whole_second(at))
        event.evidence = evidence
        event.updated_at = max(event.updated_at, whole_second(at))
        event.is_changed = True

    def widen(self, event: Event, at: float, low: int, high: int) -> None:
        """Extend an event's price range to prices from `low` to `high`."""
        lowest, highest = _price(low, self.digits), _price(high, self.digits)
        if event.price_low is None or lowest is None or event.price_high is None or highest is None:
            return
        if lowest < event.price_low or highest > event.price_high:
            event.price_low = min(lowest, event.price_low)
            event.price_high = max(highest, event.price_high)
            event.updated_at = max(event.updated_at, whole_second(at))
            event.is_changed = True

    def lower_evidence_class(self, event: Event, at: float, evidence_class: str) -> None:
        """Lower an event's evidence class from A to B."""
        if evidence_class == "B" and event.evidence_class == "A":
            event.evidence_class = "B"
            event.updated_at = max(event.updated_at, whole_second(at))
            event.is_changed = True

    def schedule_close(self, event: Event, at: float, reason: str) -> None:
        """Store the first closing condition that came true."""
        if event.closing_at is None:
            event.closing_at, event.closing_reason = float(at), reason

    def close_due(self, second: int) -> None:
        """Close the events whose time to open again is over at a whole second."""
        due = [
            key
            for key, e in self.live.items()
            if e.closing_at is not None and self._is_due(e, second)
        ]
        for key in due:
            self._close(key)

    def _is_due(self, event: Event, second: int) -> bool:
        return _close_due_at(event) <= second

    def _close(self, key: str) -> None:
        noticed = self._noticed_of(self.live[key].type)
        event = self.live.pop(key)
        noticed.remove(event.noticed_at)
        self._recent.pop(event.type, None)
        event.status = "closed"
        event.closed_at, event.close_reason = event.closing_at, event.closing_reason
        event.updated_at = whole_second(_close_due_at(event))
        event.is_changed = True
        self.closed.append(event)
        if event.close_reason == MERGED:
            return  # the other event counts for both
        closed = Noticed(event.noticed_at, event.statistic)
        self.past_of(event.type).add(closed, noticed.first())

    def _noticed_of(self, pattern_type: str) -> NoticedSeconds:
        """Return when the living events of a type were noticed; many may close in one second."""
        found = self._noticed.get(pattern_type)
        if found is None:
            living = [e.noticed_at for e in self.live.values() if e.type == pattern_type]
            found = self._noticed[pattern_type] = NoticedSeconds(living)
        return found

    def close_all(self, at: float, reason: str) -> None:
        """Close every live event at once."""
        for key, event in list(self.live.items()):
            self.schedule_close(event, at, reason)
            self._close(key)
            event.updated_at = whole_second(at)

    def take_changed(self) -> list[Event]:
        """Return the events that changed since the last call, including the closed ones."""
        changed = self.closed + [e for e in self.live.values() if e.is_changed]
        self.closed = []
        self._recent.clear()
        self._noticed.clear()
        for event in changed:
            event.is_changed = False
        return changed


def _close_due_at(event: Event) -> float:
    closing = event.closing_at or 0.0
    return closing if event.type in POINT_TYPES else closing + REOPEN_WITHIN_MS


def _price(units: int | None, digits: int) -> float | None:
    return None if units is None else published_price(units, FLOAT_UNITS_PER_ONE[digits])


def _key_in_unit(event: Event, factor: int) -> str:
    """Return an event's key with the price in it, if one is, multiplied by `factor`."""
    if event.type in POINT_TYPES:
        head, _, price = event.key.rpartition("|")
        return f"{head}|{int(price) * factor}"
    # A visit's key is side:price:since, others are side:price, or a word.
    side, *rest = event.key.split(":")
    if not rest:
        return event.key
    return ":".join([side, str(int(rest[0]) * factor), *rest[1:]])


def event_id(ticker: str, opening: Opening, digits: int = DEFAULT_DIGITS) -> str:
    """Return an id that depends on the event alone: the same tape gives the same ids.

    A price is written in units of 1e-8, or of the coarsest finer unit that holds it.
    """
    low = "" if opening.price_low is None else _price_text(opening.price_low, digits)
    text = f"{opening.type}:{opening.side}:{round(opening.opened_at * 1000)}:{low}"
    digest = hashlib.blake2b(text.encode(), digest_size=5).digest()
    return f"{ticker}~{base64.b32encode(digest).decode().lower()}"


def _price_text(units: int, digits: int) -> str:
    needed = digits_needed(units, digits)
    shortest = units // UNITS_PER_ONE[digits - needed]
    return str(shortest) if needed == DEFAULT_DIGITS else f"{shortest}e-{needed}"
