"""The life of an event: opening, closing, going on, and its form at any whole second."""

import base64
import hashlib
from bisect import bisect_left
from dataclasses import dataclass, field, replace
from operator import attrgetter
from typing import Any

import numpy as np

from tests.reference.past import SIDE_NAMES, UNITS, Stretch, ceil_second

GO_ON_MS = 5000
REMEMBERED = 500
RANKED_FROM = 50

Evidence = dict[str, object]
Prices = tuple[int | None, int | None]
"""Lowest and highest price."""
Moment = tuple[float, int, int]
"""An instant, what is looked at there (RECORD, TIMER or SECOND), and a place among those."""

RECORD, TIMER, SECOND = 0, 1, 2
LAST = 2**62


@dataclass
class Shown:
    """What changes of an event, as it is from an instant on."""

    at: float
    peaked: Moment  # when the statistic came to be what it is
    status: str
    statistic: float
    letter: str
    evidence: Evidence
    prices: Prices
    closed_at: float | None = None
    close_reason: str | None = None

    @property
    def second(self) -> int:
        """Return the first whole second at or after the change."""
        return ceil_second(self.at)

    def says_the_same(self, other: "Shown") -> bool:
        """Tell whether nothing but the times differ."""
        mine, yours = vars(self), vars(other)
        return all(mine[name] == yours[name] for name in mine.keys() - {"at", "peaked"})


@dataclass
class Happening:
    """One event from its opening on."""

    lives: "Lives"
    side: str
    opened_at: float
    instant: float  # when its opening condition came true
    price_at_opening: int | None
    prices: Prices
    threshold: float
    letter: str
    history: list[Shown] = field(default_factory=list)
    closing: tuple[float, str] | None = None
    closed: bool = False
    peak: float = 0.0
    peaked: Moment = (0.0, 0, 0)
    notes: list[Any] = field(default_factory=list)  # what its detector keeps while it may go on

    @property
    def noticed_at(self) -> int:
        """First whole second at or after the opening."""
        return ceil_second(self.instant)

    def show(
        self, moment: Moment, statistic: float, evidence: Evidence, *, given: bool = True
    ) -> None:
        """Say what it is now; the statistic shown is its peak."""
        if not self.history or statistic > self.peak:
            self.peak, self.peaked = statistic, moment
        if not given and self.letter == "A":
            self.letter = "B"
        shown = Shown(moment[0], self.peaked, "open", self.peak, self.letter, evidence, self.prices)
        self._add(shown)

    def show_if_peak(
        self, moment: Moment, statistic: float, evidence: Evidence, *, given: bool = True
    ) -> None:
        """Say what it is now if it never was as strong."""
        if not self.history or statistic > self.peak:
            self.show(moment, statistic, evidence, given=given)

    def widen(self, moment: Moment, low: int, high: int) -> None:
        """Let its prices reach from `low` to `high` at least."""
        lowest, highest = self.prices
        assert lowest is not None
        assert highest is not None
        self.prices = min(low, lowest), max(high, highest)
        self._add(replace(self.history[-1], at=moment[0], prices=self.prices))

    @property
    def is_open(self) -> bool:
        """Tell whether it is open and not closing."""
        return self.closing is None and not self.closed

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
                shown_at,
                last.peaked,
                "closed",
                last.statistic,
                last.letter,
                last.evidence,
                last.prices,
                at,
                reason,
            )
        )

    def forget_from(self, at: float) -> None:
        """Undo what was foreseen from an instant on; a point knows its end from its beginning."""
        is_point = self.closed and self.closing is None
        if self.closing is not None and self.closing[0] >= at:
            self.closing = None
        while self.history[-1].at >= at:
            last = self.history.pop()
            self.closed = False
            if is_point and last.closed_at is not None:
                self.closing = (last.closed_at, "elapsed")

    def _add(self, shown: Shown) -> None:
        """Add what differs."""
        if self.history and shown.says_the_same(self.history[-1]):
            return
        assert not self.history or shown.second >= self.history[-1].second
        self.history.append(shown)

    def shown_at(self, second: int) -> Shown:
        """Return what it is as of a whole second, with the second at which it came to be that."""
        return [shown for shown in self.history if shown.second <= second][-1]

    def is_open_at(self, second: int) -> bool:
        """Tell whether its status is open at a whole second."""
        return self.noticed_at <= second and self.shown_at(second).status == "open"

    def form(self, second: int, ticker: str) -> dict[str, object]:
        """Its JSON form at a whole second."""
        now = self.shown_at(second)
        low, high = now.prices
        return {
            "id": event_id(
                ticker, self.lives.type, self.side, self.opened_at, self.price_at_opening
            ),
            "type": self.lives.type,
            "side": self.side,
            "status": now.status,
            "opened_at": self.opened_at,
            "noticed_at": self.noticed_at,
            "updated_at": now.second,
            "closed_at": now.closed_at,
            "close_reason": now.close_reason,
            "price_low": None if low is None else low / UNITS,
            "price_high": None if high is None else high / UNITS,
            "strength": self.lives.strength(self, now),
            "evidence_class": now.letter,
            "statistic": now.statistic,
            "threshold": self.threshold,
            "evidence": now.evidence,
        }


@dataclass
class Candidate:
    """Something that might have become an event, and has ended."""

    ended: Moment
    peak: np.float32


@dataclass
class Lives:
    """All events and candidates of one type."""

    type: str
    events: list[Happening] = field(default_factory=list)
    candidates: list[Candidate] = field(default_factory=list)
    latest: dict[object, Happening] = field(default_factory=dict)

    def candidate(self, ended: Moment, peak: float) -> None:
        """Remember the peak of a candidate that ended, as a 32-bit float."""
        self.candidates.append(Candidate(ended, np.float32(peak)))

    def living(self, key: object, at: float) -> Happening | None:
        """Return the key's event, open or closing at an instant."""
        event = self.latest.get(key)
        if event is None or event.closed:
            return None
        if event.closing is not None and at >= event.closing[0] + GO_ON_MS:
            event.settle()
            return None
        return event

    def open(  # noqa: PLR0913, PLR0917 - what an event is at its opening
        self,
        key: object,
        side: int | str,
        opened_at: float,
        instant: float,
        prices: Prices,
        threshold: float,
        letter: str,
    ) -> Happening:
        """Open an event; a key of None makes a point that nothing goes on from."""
        name = side if isinstance(side, str) else SIDE_NAMES[side]
        event = Happening(self, name, opened_at, instant, prices[0], prices, threshold, letter)
        self.events.append(event)
        if key is not None:
            self.latest[key] = event
        return event

    def end(self, stretch: Stretch) -> None:
        """End all at a stretch's end: the ticker falls asleep, or a gap ends."""
        if stretch.gap_end is None:
            self._close_all(stretch.sleep, "silence")
        else:
            self._forget_from(stretch.gap_end)
            self._close_all(stretch.gap_end, "gap")

    def _forget_from(self, at: float) -> None:
        """Undo what the definitions foresaw from an instant on: a gap ends there."""
        self.candidates = [one for one in self.candidates if one.ended[0] < at]
        self.events = [one for one in self.events if one.instant < at]
        for event in self.events:
            event.forget_from(at)

    def _close_all(self, at: float, reason: str) -> None:
        """Close what is open; what was closing keeps its reason."""
        for event in self.events:
            if event.closed:
                continue
            if event.closing is not None and event.closing[0] + GO_ON_MS <= at:
                event.settle()
            else:
                event.end(*(event.closing or (float(at), reason)), shown_at=at)
        self.latest.clear()

    def strength(self, event: Happening, now: Shown) -> float | None:
        """Rank of a peak, when it came to be, among the candidates of before the event's second."""
        self.candidates.sort(key=attrgetter("ended"))
        known = bisect_left(self.candidates, now.peaked, key=attrgetter("ended"))
        newest = self.candidates[max(0, known - REMEMBERED) : known]
        second = ceil_second(event.opened_at)
        peaks = [one.peak for one in newest if ceil_second(one.ended[0]) < second]
        if len(peaks) < RANKED_FROM:
            return None
        peak = np.float32(now.statistic)
        below = sum(other < peak for other in peaks)
        equal = sum(other == peak for other in peaks)
        return float((below + equal / 2 + 0.5) / (len(peaks) + 1))


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
