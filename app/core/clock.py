"""The clock of everything but the analysis, which gets its time as an argument."""

import time

BELIEVED_AHEAD_INTERVALS = 2
"""By how many intervals a time may lie ahead of a clock, or two clocks apart, and be believed."""

_offset_ms = 0.0
_stands_at_ms: float | None = None


def now_ms() -> float:
    """Return the time as epoch milliseconds."""
    if _stands_at_ms is not None:
        return _stands_at_ms
    return time.time() * 1000.0 + _offset_ms


def stand_still(at_ms: float | None) -> None:
    """Let this process's clock stand at a time, or go on where it is None; for replays of tapes."""
    global _stands_at_ms  # noqa: PLW0603 - one clock for the whole process
    _stands_at_ms = at_ms


def shift(offset_ms: float) -> None:
    """Set this process's clock ahead by `offset_ms`; for tests of clock steps."""
    global _offset_ms  # noqa: PLW0603 - one clock for the whole process
    _offset_ms = offset_ms
