"""What a live feed's process is to do, as the command that checked it hands it on."""

import os
import signal
import sys
from pathlib import Path
from typing import Literal, NoReturn, Self

import msgspec

from app.feeds.live.sources import LiveRequest

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM)
VARIABLE = "ORDERFLOW_LIVE_JOB"
"""Holds the job in the environment, as others hold passwords: arguments are shown to everyone."""

_HOME = Path(__file__).parents[3]


class LiveJob(msgspec.Struct, frozen=True):
    """A request that was checked, and the settings that a feed needs."""

    request: LiveRequest
    feed_url: str | None
    folder: str | None
    redis_url: str
    redis_database: int
    cluster: bool
    log_level: str
    log_format: Literal["text", "json"]

    @classmethod
    def taken_over(cls) -> Self:
        """Return the job that this process was started for."""
        return msgspec.json.decode(os.environ.pop(VARIABLE), type=cls)

    def run_in_place(self) -> NoReturn:
        """Replace this process by one that runs the job, and has imported nothing else.

        The settings' library and the HTTP client would stay in memory for weeks. Signals that come
        meanwhile wait until the feed can end itself.
        """
        path = os.pathsep.join(filter(None, (str(_HOME), os.environ.get("PYTHONPATH"))))
        environment = {VARIABLE: msgspec.json.encode(self).decode(), "PYTHONPATH": path}
        command = (sys.executable, "-P", "-m", "app.feeds.live.run", str(self.request))
        signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
        os.execve(command[0], command, os.environ | environment)  # noqa: S606 - no shell is wanted
