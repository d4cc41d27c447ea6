"""Which scores of a broker's records can be times, and of now."""

from typing import Final

OLDEST_MS: Final = 1_000_000_000_000
"""Least score in epoch ms; lower ones look like seconds."""
NEWEST_MS: Final = 100_000_000_000_000
"""Greatest score in epoch ms; greater ones look like microseconds or nanoseconds."""
AHEAD_MS: Final = 5_000
"""How far ahead of the clock a record may be stamped: what is farther is not read before then."""
