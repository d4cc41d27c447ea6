"""What a ticker may look like."""

import re

from app.core.errors import BadTicker

_TICKER = re.compile(r"[A-Za-z0-9.][A-Za-z0-9._\-/:]{0,31}")


def is_ticker(text: str) -> bool:
    """Tell whether `text` is 1 to 32 allowed characters with an allowed first one.

    >>> is_ticker("SPY241220C00450000"), is_ticker("O:SPY"), is_ticker("BTC/USDT")
    (True, True, True)
    >>> is_ticker(""), is_ticker("-A"), is_ticker("A B")
    (False, False, False)
    """
    return _TICKER.fullmatch(text) is not None


def checked_ticker(text: str) -> str:
    """Return `text` if it is a ticker; case is kept.

    Raises `BadTicker` otherwise.
    """
    if not is_ticker(text):
        raise BadTicker(
            f"ticker {text[:40]!r} is not allowed: 1 to 32 of A-Z a-z 0-9 . _ - / : "
            "beginning with a letter, a digit or '.'"
        )
    return text
