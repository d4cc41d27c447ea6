"""Name the published windows, and how long weak events stay published."""

from typing import Final

WINDOWS: Final = {"10s": 10, "1min": 60, "5min": 300}
"""Name and length in seconds of each published window."""

WINDOW_SECONDS: Final = tuple(WINDOWS.values())
"""Lengths of the published windows in seconds."""

WEAK_EVENT_SECONDS: Final = 600
"""How many seconds a closed event below the ticker's median strength stays published."""
