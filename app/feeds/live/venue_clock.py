"""Know which time it is at a venue, by the stamps of its records and the times of their arrival."""

import math

SPAN_MS = 30_000.0
TELLING_MS = 1_000.0
"""From here on the distance of two clocks, or a delay, is told."""


class VenueClock:
    """The least time between a record's stamp and its arrival in the last half to whole minute.

    It is a delay, a difference of two clocks, or both: from the records alone nobody can tell which
    but for a negative one, since no record arrives before it is made.
    """

    def __init__(self) -> None:
        self._earlier_ms = self._least_ms = math.inf
        self._until_ms = 0.0

    def note(self, stamp_ms: float, received_ms: float) -> None:
        """Note a record's stamp and arrival."""
        if received_ms >= self._until_ms:
            self._earlier_ms, self._least_ms = self._least_ms, math.inf
            self._until_ms = received_ms + SPAN_MS
        self._least_ms = min(self._least_ms, received_ms - stamp_ms)

    @property
    def delay_ms(self) -> float | None:
        """Return the least time between stamp and arrival; None before the first record."""
        least_ms = min(self._earlier_ms, self._least_ms)
        return least_ms if math.isfinite(least_ms) else None

    def at_venue(self, received_ms: float) -> float:
        """Return the stamp that a record made now would bear, if it arrived at `received_ms`.

        >>> clock = VenueClock()
        >>> clock.note(stamp_ms=1_000.0, received_ms=1_040.0)
        >>> clock.at_venue(5_000.0)
        4960.0
        """
        return received_ms - (self.delay_ms or 0.0)
