"""The edges' one clock; the analysis never asks it."""

import time

_offset_ms = 0.0


def now_ms() -> float:
    """Return the time as epoch milliseconds."""
    return time.time() * 1000.0 + _offset_ms


def shift(offset_ms: float) -> None:
    """Let this process's clock run ahead by `offset_ms`; for tests of clock steps."""
    global _offset_ms  # noqa: PLW0603 - one clock a process is the point
    _offset_ms = offset_ms
