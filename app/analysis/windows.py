"""Published windows and how long weak events are kept."""

from typing import Final

WINDOWS: Final = {"10s": 10, "1min": 60, "5min": 300}
"""Name and length in seconds of each published window."""

WINDOW_SECONDS: Final = tuple(WINDOWS.values())
"""The lengths of the published windows, in seconds."""

WEAK_EVENT_SECONDS: Final = 600
"""How long a closed event below the ticker's median strength stays published."""
