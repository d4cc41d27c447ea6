"""A process's clock, which a fault plan sets ahead by files in its folder of requests."""

import os
import threading
import time
from pathlib import Path

from app.core import clock

_LOOK_SECONDS = 0.02


def follow(requests: Path, *names: str) -> None:
    """Set the clock ahead by the first of these requests that is there, from a thread."""
    threading.Thread(target=_follow, args=(requests, names), daemon=True).start()


def own_request() -> str:
    """Return the name of the request that sets the clock of this process alone."""
    return f"clock-{os.getpid()}"


def _follow(requests: Path, names: tuple[str, ...]) -> None:
    while True:
        offsets = (_offset_ms(requests / name) for name in names)
        clock.shift(next((it for it in offsets if it), 0.0))
        time.sleep(_LOOK_SECONDS)


def _offset_ms(request: Path) -> float:
    try:
        return float(request.read_text() or 0)
    except FileNotFoundError:
        return 0.0
