"""The life of an event: opening, closing, going on, and its form at any whole second."""

import base64
import hashlib
from dataclasses import dataclass, field
from typing import Any

from tests.reference.past import SIDE_NAMES, UNITS, ceil_second

GO_ON_MS = 5000
REMEMBERED = 500
RANKED_FROM = 50

Evidence = dict[str, object]


@dataclass
class Shown:
    """What changes of an event, as it is from one whole second on."""

    second: int
    status: str
    statistic: float
    letter: str
    evidence: Evidence
    closed_at: float | None = None
    close_reason: str | None = None

    def says_the_same(self, other: "Shown") -> bool:
        """Tell whether nothing but the second differs."""
        return {**vars(self), "second": 0} == {**vars(other), "second": 0}


@dataclass
class Happening:
    """One event from its opening on."""

    lives: "Lives"
    side: str
    opened_at: float
    instant: float  # when its opening condition came true
    price_low: int | None
    price_high: int | None
    threshold: float
    letter: str
    history: list[Shown] = field(default_factory=list)
    closing: tuple[float, str] | None = None
    closed: bool = False
    peak: float = 0.0
    notes: list[Any] = field(default_factory=list)  # what its detector keeps while it may go on

    @property
    def noticed_at(self) -> int:
        """First whole second at or after the opening."""
        return ceil_second(self.instant)

    def show(self, at: float, statistic: float, evidence: Evidence, *, given: bool = True) -> None:
        """Say what it is now; the statistic shown is its peak."""
        self.peak = max(self.peak, statistic)
        if not given:
            self.letter = "B"
        self._add(Shown(ceil_second(at), "open", self.peak, self.letter, evidence))

    def show_if_peak(
        self, at: float, statistic: float, evidence: Evidence, *, given: bool = True
    ) -> None:
        """Say what it is now if it never was as strong."""
        if not self.history or statistic > self.peak:
            self.show(at, statistic, evidence, given=given)

    def close(self, at: float, reason: str) -> None:
        """Begin to close; what closes already keeps its first reason."""
        if self.closing is None and not self.closed:
            self.closing = (at, reason)

    def settle(self) -> None:
        """Close it for good: its 5 s are over."""
        if self.closing is not None and not self.closed:
            at, reason = self.closing
            self.end(at, reason, shown_at=at + GO_ON_MS)

    def end(self, at: float, reason: str, shown_at: float) -> None:
        """Close it, visible from the whole second at or after `shown_at`."""
        last = self.history[-1]
        self.closed = True
        self._add(
            Shown(
                ceil_second(shown_at),
                "closed",
                last.statistic,
                last.letter,
                last.evidence,
                at,
                reason,
            )
        )

    def _add(self, shown: Shown) -> None:
        assert not self.history or shown.second >= self.history[-1].second
        self.history.append(shown)

    def shown_at(self, second: int) -> tuple[int, Shown]:
        """Return the last second at which it changed, and what it is, both as of `second`."""
        by_second: dict[int, Shown] = {}
        for shown in self.history:
            if shown.second <= second:
                by_second[shown.second] = shown
        changed, now = self.noticed_at, by_second[self.noticed_at]
        for shown in by_second.values():
            if not shown.says_the_same(now):
                changed, now = shown.second, shown
        return changed, now

    def is_open_at(self, second: int) -> bool:
        """Tell whether its status is open at a whole second."""
        return self.noticed_at <= second and self.shown_at(second)[1].status == "open"

    def form(self, second: int, ticker: str) -> dict[str, object]:
        """Its JSON form at a whole second."""
        updated, now = self.shown_at(second)
        return {
            "id": event_id(ticker, self.lives.type, self.side, self.opened_at, self.price_low),
            "type": self.lives.type,
            "side": self.side,
            "status": now.status,
            "opened_at": self.opened_at,
            "noticed_at": self.noticed_at,
            "updated_at": updated,
            "closed_at": now.closed_at,
            "close_reason": now.close_reason,
            "price_low": None if self.price_low is None else self.price_low / UNITS,
            "price_high": None if self.price_high is None else self.price_high / UNITS,
            "strength": self.lives.strength(self, now.statistic),
            "evidence_class": now.letter,
            "statistic": now.statistic,
            "threshold": self.threshold,
            "evidence": now.evidence,
        }


@dataclass
class Candidate:
    """Something that might have become an event, and has ended."""

    ended: float
    peak: float


@dataclass
class Lives:
    """All events and candidates of one type."""

    type: str
    events: list[Happening] = field(default_factory=list)
    candidates: list[Candidate] = field(default_factory=list)
    latest: dict[object, Happening] = field(default_factory=dict)

    def candidate(self, ended: float, peak: float) -> None:
        """Remember the peak of a candidate that ended."""
        self.candidates.append(Candidate(ended, peak))

    def living(self, key: object, at: float, *, by_second: bool = False) -> Happening | None:
        """Return the key's event, open or closing at an instant."""
        event = self.latest.get(key)
        if event is None or event.closed:
            return None
        if event.closing is not None:
            over = event.closing[0] + GO_ON_MS
            if at > over or (by_second and at == over):
                event.settle()
                return None
        return event

    def open(  # noqa: PLR0913, PLR0917 - what an event is at its opening
        self,
        key: object,
        side: int | str,
        opened_at: float,
        instant: float,
        prices: tuple[int | None, int | None],
        threshold: float,
        letter: str,
    ) -> Happening:
        """Open an event; a key of None makes a point that nothing goes on from."""
        name = side if isinstance(side, str) else SIDE_NAMES[side]
        event = Happening(self, name, opened_at, instant, *prices, threshold, letter)
        self.events.append(event)
        if key is not None:
            self.latest[key] = event
        return event

    def sleep(self, at: int) -> None:
        """Close what is open when the ticker falls asleep."""
        for event in self.latest.values():
            if event.closing is not None and event.closing[0] + GO_ON_MS <= at:
                event.settle()
            if not event.closed:
                event.end(at, "silence", shown_at=at)
        self.latest.clear()

    def strength(self, event: Happening, peak: float) -> float | None:
        """Rank of a peak among the candidates that ended before the event opened."""
        known = sorted(
            (one for one in self.candidates if one.ended <= event.instant),
            key=lambda one: one.ended,
        )
        peaks = [one.peak for one in known[-REMEMBERED:] if one.ended < event.opened_at]
        if len(peaks) < RANKED_FROM:
            return None
        below = sum(other < peak for other in peaks)
        equal = sum(other == peak for other in peaks)
        return (below + equal / 2 + 0.5) / (len(peaks) + 1)


def event_id(
    ticker: str, event_type: str, side: str, opened_at: float, price_low: int | None
) -> str:
    """Return the event's name, the same on every run over the same records."""
    low = "" if price_low is None else str(price_low)
    text = f"{event_type}:{side}:{round(opened_at * 1000)}:{low}"
    digest = hashlib.blake2b(text.encode(), digest_size=5).digest()
    return f"{ticker}~{base64.b32encode(digest).decode().lower()}"


def letter_of(*, given: bool) -> str:
    """Evidence class of something seen in trades."""
    return "A" if given else "B"
