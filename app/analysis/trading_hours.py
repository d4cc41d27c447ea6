"""Tell in which session and phase of its market an instant lies, from tables of plain numbers.

The tables come from whoever creates an engine: the analysis knows neither a clock nor a calendar.
"""

from array import array
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

CONTINUOUS_NAME: Final = "24/7"
DAY_MS: Final = 86_400_000
HALF_HOUR_MS: Final = 1_800_000
PRE_MS: Final = 19_800_000
"""A session's phase `pre` begins 5.5 hours before its open: 4:00 in New York."""
POST_MS: Final = 14_400_000
"""Its phase `post` ends 4 hours after its close: 20:00 in New York."""
FAR_FUTURE: Final = 2**62

CLOSED, PRE, POST, REGULAR, CONTINUOUS = "closed", "pre", "post", "regular", "continuous"
PHASES: Final = (PRE, REGULAR, POST, CLOSED, CONTINUOUS)
OPEN_PHASES: Final = (REGULAR, CONTINUOUS)
_OUTSIDE_SLOTS: Final = {CLOSED: 0, PRE: 1, POST: 2}
FIRST_REGULAR_SLOT: Final = 3
MAX_SLOTS: Final = FIRST_REGULAR_SLOT + 48


@dataclass(slots=True)
class SessionPhase:
    """A phase of a session: bounds of the session in ms, 0 where unknown, and where it ends."""

    phase: str
    opened_at: int
    closes_at: int
    ends_at: int

    @property
    def is_open(self) -> bool:
        """Return whether this is the session itself."""
        return self.phase in OPEN_PHASES

    def slot(self, at: float) -> int:
        """Return the half hour of an instant of this phase; all of `pre`, say, is one."""
        if not self.is_open:
            return _OUTSIDE_SLOTS[self.phase]
        half_hour = int(at - self.opened_at) // HALF_HOUR_MS
        return min(MAX_SLOTS - 1, FIRST_REGULAR_SLOT + half_hour)


class TradingHours:
    """The sessions of one calendar, in order; none where a session is a UTC day."""

    def __init__(
        self,
        name: str = CONTINUOUS_NAME,
        opens: Sequence[int] = (),
        closes: Sequence[int] = (),
        day_starts_at: int = 0,
    ) -> None:
        self.name = name
        # Arrays: a table has a dozen thousand sessions, and every worker holds one.
        self._opens, self._closes = array("q", opens), array("q", closes)
        self._day_starts_at = day_starts_at

    def later(self, ms: int) -> "TradingHours":
        """Return the same sessions so much later."""
        return TradingHours(
            self.name,
            [at + ms for at in self._opens],
            [at + ms for at in self._closes],
            self._day_starts_at + ms,
        )

    def at(self, instant: float) -> SessionPhase:
        """Return the phase that an instant lies in; a close belongs to what follows it."""
        if not self._opens:
            since = int(instant - self._day_starts_at) // DAY_MS * DAY_MS + self._day_starts_at
            return SessionPhase(CONTINUOUS, since, since + DAY_MS, since + DAY_MS)
        following = bisect_right(self._closes, instant)
        if following == len(self._closes):
            return self._outside(following, instant, FAR_FUTURE)
        opens = self._opens[following]
        if instant >= opens:
            closes = self._closes[following]
            return SessionPhase(REGULAR, opens, closes, closes)
        if instant >= opens - PRE_MS:
            return SessionPhase(PRE, opens, self._closes[following], opens)
        return self._outside(following, instant, opens - PRE_MS)

    def _outside(self, following: int, instant: float, until: int) -> SessionPhase:
        """Return the phase after a session's close and before the next one's `pre`."""
        if not following:
            return SessionPhase(CLOSED, 0, 0, until)
        opened, closed = self._opens[following - 1], self._closes[following - 1]
        if instant < closed + POST_MS:
            return SessionPhase(POST, opened, closed, min(until, closed + POST_MS))
        return SessionPhase(CLOSED, opened, closed, until)


UTC_DAYS: Final = TradingHours()
