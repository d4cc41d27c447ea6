"""Ticker names: which are allowed, how typed ones are read, and which one a typed name means."""

import re
from collections.abc import Iterable
from urllib.parse import quote

from app.core.errors import BadTicker

ALLOWED = (
    "1 to 32 of A-Z a-z 0-9 . _ - / : ^ = # * + & ! @ $ ~, not beginning with : or -, "
    "or an option's padded name such as 'SPY   241220C00450000'"
)
_MOST_NAMED = 5
_UNSAFE_IN_FILE_NAMES = str.maketrans({"_": "%5F", "~": "%7E"})
_CHARACTER = r"[A-Za-z0-9._\-/:^=#*+&!@$~]"
# OCC's padded form: a root filled with spaces to six characters, date, C or P, eight digits.
_PADDED = rf"(?=.{{21}}\Z){_CHARACTER}{{1,5}} {{1,5}}[0-9]{{6}}[CP][0-9]{{8}}"
_TICKER = re.compile(rf"(?![:\-])(?:{_CHARACTER}{{1,32}}|{_PADDED})")


def is_ticker(text: str) -> bool:
    """Tell whether `text` is an allowed ticker name.

    >>> is_ticker("SPY241220C00450000"), is_ticker("/ESZ6"), is_ticker("SPY   241220C00450000")
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
        raise BadTicker(f"ticker {text[:40]!r} is not allowed: a ticker is {ALLOWED}")
    return ticker


def match_ticker(text: str, active: Iterable[str]) -> str | None:
    """Return the active ticker that a typed text means, None where it means none.

    Case, spaces and a leading `$` make no difference, unless they tell active tickers apart.
    Raises `BadTicker`, naming them, where several are meant.

    >>> match_ticker(" $spy", ["QQQ", "SPY"]), match_ticker("iwm", ["QQQ", "SPY"])
    ('SPY', None)
    """
    names = list(active)
    for simplified in (str.strip, _without_case, _without_dollar, _bare):
        wanted = simplified(text)
        found = [name for name in names if wanted and simplified(name) == wanted]
        if len(found) > 1:
            raise BadTicker(
                f"ticker {text[:40]!r} may mean {' or '.join(sorted(found)[:_MOST_NAMED])}: "
                "ask for one of them, exactly as written here"
            )
        if found:
            return found[0]
    return None


def _without_case(name: str) -> str:
    return "".join(name.split()).casefold()


def _without_dollar(name: str) -> str:
    return name.strip().removeprefix("$")


def _bare(name: str) -> str:
    return _without_case(name).removeprefix("$")


def file_name_of(ticker: str) -> str:
    """Return a ticker percent-encoded, without `_`, so that it can begin a file's name.

    >>> file_name_of("BTC/USD"), file_name_of("BTC-USD"), file_name_of("A_B")
    ('BTC%2FUSD', 'BTC-USD', 'A%5FB')
    """
    return quote(ticker, safe="").translate(_UNSAFE_IN_FILE_NAMES)


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
