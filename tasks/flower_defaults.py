"""Set Flower's defaults, and refuse to open it to other machines without credentials."""

import os
import sys
from collections.abc import Sequence

from app.core.bind_policy import check_flower
from app.core.errors import SettingError
from app.core.settings import Settings

# With Flower's own default of 100,000 its memory exceeds 600 MB; with this it stays at 99 MB.
_MAX_TASKS = 5000


def set_defaults(settings: Settings) -> None:
    """Bind Flower to loopback, make it read-only and bound its memory, by its own variables.

    Its own defaults are all addresses and controls without a login.
    """
    os.environ.setdefault("FLOWER_ADDRESS", settings.flower_host)
    os.environ.setdefault("FLOWER_PORT", str(settings.flower_port))
    os.environ.setdefault("FLOWER_MAX_TASKS", str(_MAX_TASKS))
    os.environ.setdefault("FLOWER_READ_ONLY", "true")
    if "flower" in sys.argv:
        _check_when_parsed()


def _check_when_parsed() -> None:
    """Check Flower's options after it has read environment, file and command line."""
    # Imported here: workers and beat don't need tornado.
    from tornado.options import options  # noqa: PLC0415

    def check() -> None:
        try:
            is_protected = _is_protected(options.basic_auth, options.auth)
            if not options.unix_socket:
                check_flower(options.address, has_credentials=is_protected)
        except SettingError as error:
            sys.exit(f"orderflow: {error}")

    options.add_parse_callback(check)


def _is_protected(basic_auth: Sequence[str] | None, auth: str) -> bool:
    """Return whether every login needs credentials; an empty user or password is none."""
    pairs = [pair.partition(":") for pair in basic_auth or ()]
    return bool(auth or pairs) and all(user and password for user, _, password in pairs)
