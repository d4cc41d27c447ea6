"""Events that live from open to close, their ids, and how strong they are for their ticker."""

import base64
import hashlib
import math
from array import array
from bisect import bisect_left
from dataclasses import dataclass, field, fields
from typing import Final

from mypy_extensions import mypyc_attr

from app.analysis.bars import SECOND_MS
from app.analysis.pattern_table import POINT_TYPES
from app.analysis.records import PRICE_UNITS

LINGER_MS: Final = 5000.0
KEPT_CANDIDATES: Final = 500
CANDIDATES_NEEDED: Final = 50

Evidence = dict[str, float | int | str]


def whole_second(stamp: float) -> int:
    """Return the first whole second at or after `stamp`, in ms.

    >>> whole_second(1000.0), whole_second(1000.25)
    (1000, 2000)
    """
    return math.ceil(stamp / SECOND_MS) * SECOND_MS


@mypyc_attr(acyclic=True)
@dataclass(slots=True)
class Event:
    """One happening; fields up to `evidence` are what is published (contract, section 4)."""

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

    def is_over(self, at: float) -> bool:
        """Tell whether it was closing so long ago that it can't go on."""
        if self.closing_at is None:
            return False
        return at >= self.closing_at + (0.0 if self.type in POINT_TYPES else LINGER_MS)


_EVENT_FIELDS = [f.name for f in fields(Event)]
PUBLISHED_FIELDS = tuple(_EVENT_FIELDS[: _EVENT_FIELDS.index("evidence") + 1])


@dataclass(slots=True)
class Opening:
    """A condition that came true: all that an event is made from. Prices in 1e-8."""

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


class Candidates:
    """Peaks of the newest candidates of one type, by the second in which they ended.

    Kept small, since every ticker keeps a dozen of them: seconds as 32-bit numbers, peaks as
    32-bit floats, compared as such.
    """

    __slots__ = ("is_changed", "peaks", "seconds")

    def __init__(self, packed: bytes = b"") -> None:
        self.seconds = array("I")
        self.peaks = array("f")
        self.is_changed = False
        half = len(packed) // 2
        self.seconds.frombytes(packed[:half])
        self.peaks.frombytes(packed[half:])

    def packed(self) -> bytes:
        """Return what makes an equal one."""
        return self.seconds.tobytes() + self.peaks.tobytes()

    def add_candidate(self, at: float, peak: float) -> None:
        """Add a candidate that is over."""
        self.is_changed = True
        self.seconds.append(math.ceil(at / SECOND_MS))
        self.peaks.append(peak)
        if len(self.seconds) > KEPT_CANDIDATES:
            del self.seconds[0], self.peaks[0]

    def strength(self, peak: float, before: float) -> float | None:
        """Rank `peak` among the candidates that ended in seconds before that of `before`.

        (below + equal/2 + ½)/(n + 1), so that ties count half; None where n < 50.
        """
        n = bisect_left(self.seconds, math.ceil(before / SECOND_MS))
        if n < CANDIDATES_NEEDED:
            return None
        peak = array("f", [peak])[0]
        others = self.peaks[:n]
        rank = sum(1.0 if other < peak else 0.5 if other == peak else 0.0 for other in others)
        return (rank + 0.5) / (n + 1)


@dataclass(slots=True)
class Events:
    """A ticker's live events by type and key, its candidates, and what ended since last told.

    The candidates are packed apart from the rest (codec): they are large and change seldom.
    """

    ticker: str
    live: dict[str, Event] = field(default_factory=dict)
    ended: list[Event] = field(default_factory=list)
    candidates: dict[str, Candidates] = field(default_factory=dict, init=False)

    def open_or_extend(self, opening: Opening) -> Event:
        """Open an event, or let the one with the same type and key go on."""
        name = f"{opening.type}|{opening.key or opening.side}"
        if opening.type in POINT_TYPES:
            name = f"{name}|{opening.opened_at}|{opening.price_low}"
        event = self.live.get(name)
        if event is not None and event.is_over(opening.completed_at):
            self._close(name)
            event = None
        if event is None:
            event = self.live[name] = self._new_event(opening, name)
        elif event.closing_at is not None:
            event.closing_at = None
            self.lower_class(event, opening.completed_at, opening.evidence_class)
            self.update(event, opening.completed_at, opening.statistic, opening.evidence)
        return event

    def _new_event(self, opening: Opening, name: str) -> Event:
        noticed_at = whole_second(opening.completed_at)
        return Event(
            id=event_id(self.ticker, opening),
            type=opening.type,
            side=opening.side,
            status="open",
            opened_at=float(opening.opened_at),
            noticed_at=noticed_at,
            updated_at=noticed_at,
            closed_at=None,
            close_reason=None,
            price_low=_price(opening.price_low),
            price_high=_price(opening.price_high),
            strength=self.of_type(opening.type).strength(opening.statistic, opening.opened_at),
            evidence_class=opening.evidence_class,
            statistic=float(opening.statistic),
            threshold=float(opening.threshold),
            evidence=opening.evidence,
            key=name,
        )

    def of_type(self, kind: str) -> Candidates:
        """Return the candidates of a type."""
        found = self.candidates.get(kind)
        if found is None:
            found = self.candidates[kind] = Candidates()
        return found

    def find(self, kind: str, key: str) -> Event | None:
        """Return the live event of a type and key that is not closing."""
        event = self.live.get(f"{kind}|{key}")
        return event if event is not None and event.closing_at is None else None

    def update(self, event: Event, at: float, statistic: float, evidence: Evidence) -> None:
        """Renew an event's evidence at an instant, its strength where the statistic peaks."""
        peaked = statistic > event.statistic
        if not peaked and event.evidence == evidence:
            return
        if peaked:
            event.statistic = float(statistic)
            event.strength = self.of_type(event.type).strength(statistic, event.opened_at)
        event.evidence = evidence
        event.updated_at = max(event.updated_at, whole_second(at))
        event.is_changed = True

    def lower_class(self, event: Event, at: float, evidence_class: str) -> None:
        """Lower an event's evidence class to B once one of its prints had an inferred aggressor."""
        if evidence_class == "B" and event.evidence_class == "A":
            event.evidence_class = "B"
            event.updated_at = max(event.updated_at, whole_second(at))
            event.is_changed = True

    def schedule_close(self, event: Event, at: float, reason: str) -> None:
        """Note that a closing condition came true."""
        if event.closing_at is None:
            event.closing_at, event.closing_reason = float(at), reason

    def close_due(self, second: int) -> None:
        """End what has been closing for long enough at a whole second."""
        over = [
            name
            for name, e in self.live.items()
            if e.closing_at is not None and self._is_due(e, second)
        ]
        for name in over:
            self._close(name)

    def _is_due(self, event: Event, second: int) -> bool:
        return _ends_at(event) <= second

    def _close(self, name: str) -> None:
        event = self.live.pop(name)
        event.status = "closed"
        event.closed_at, event.close_reason = event.closing_at, event.closing_reason
        event.updated_at = whole_second(_ends_at(event))
        event.is_changed = True
        self.ended.append(event)

    def close_all(self, at: float, reason: str) -> None:
        """End every live event at once."""
        for name, event in list(self.live.items()):
            self.schedule_close(event, at, reason)
            self._close(name)
            event.updated_at = whole_second(at)

    def take_changed(self) -> list[Event]:
        """Return the events that changed since this was last asked, ended ones a last time."""
        changed = self.ended + [e for e in self.live.values() if e.is_changed]
        self.ended = []
        for event in changed:
            event.is_changed = False
        return changed


def _ends_at(event: Event) -> float:
    closing = event.closing_at or 0.0
    return closing if event.type in POINT_TYPES else closing + LINGER_MS


def _price(units: int | None) -> float | None:
    return None if units is None else units / PRICE_UNITS


def event_id(ticker: str, opening: Opening) -> str:
    """Name an event so that the same tape gives the same ids."""
    low = "" if opening.price_low is None else opening.price_low
    text = f"{opening.type}:{opening.side}:{round(opening.opened_at * 1000)}:{low}"
    digest = hashlib.blake2b(text.encode(), digest_size=5).digest()
    return f"{ticker}~{base64.b32encode(digest).decode().lower()}"
