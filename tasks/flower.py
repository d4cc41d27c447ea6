"""What Flower does where its command line doesn't say otherwise, and what it never does."""

import os
import sys
from collections.abc import Sequence

from app.core.bind_policy import check_flower
from app.core.errors import SettingError
from app.core.settings import Settings

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
    if "flower" in sys.argv:
        _check_once_parsed()


def _check_once_parsed() -> None:
    """Look at what Flower will do once it has read environment, file and command line."""
    # Here, since a worker or beat has no use for tornado.
    from tornado.options import options  # noqa: PLC0415

    def check() -> None:
        try:
            asks = _asks(options.basic_auth, options.auth)
            if not options.unix_socket:
                check_flower(options.address, has_credentials=asks)
        except SettingError as error:
            sys.exit(f"orderflow: {error}")

    options.add_parse_callback(check)


def _asks(basic_auth: Sequence[str] | None, auth: str) -> bool:
    """Tell whether every way in asks for something; an empty user or password asks for nothing."""
    pairs = [given.partition(":") for given in basic_auth or ()]
    return bool(auth or pairs) and all(user and password for user, _, password in pairs)
