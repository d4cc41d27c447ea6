"""Ticker names: which are allowed, and how typed ones are read."""

import re
from collections.abc import Iterable

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


def parse_ticker(text: str) -> str:
    """Return the ticker that a person or a model typed; case is kept, spaces around it are not.

    Raises `BadTicker` where it is not allowed.

    >>> parse_ticker(" BRK.B ")
    'BRK.B'
    """
    ticker = text.strip()
    if not is_ticker(ticker):
        raise BadTicker(
            f"ticker {text[:40]!r} is not allowed: 1 to 32 of A-Z a-z 0-9 . _ - / : "
            "beginning with a letter, a digit or '.'"
        )
    return ticker


def distinct_names(names: Iterable[str]) -> list[str]:
    """Return the names of a list as typed, each once, in their order; none is checked.

    >>> distinct_names(["SPY", " QQQ", "SPY "])
    ['SPY', 'QQQ']
    """
    return list(dict.fromkeys(name.strip() for name in names))


def parse_tickers(text: str) -> list[str]:
    """Return the tickers of a text with commas between them, each once.

    Raises `BadTicker`.

    >>> parse_tickers("SPY, QQQ,SPY")
    ['SPY', 'QQQ']
    """
    return [parse_ticker(name) for name in distinct_names(text.split(","))]
