"""Symbols as people write them: `BTC/USD`, `BTC-USD`, `btcusd`, `BRK.B`, matched with a list."""

import difflib
from collections.abc import Sequence
from typing import NamedTuple

from app.core.errors import FeedRefused

NEAR_NAMES = 5
_MIN_LIKENESS = 0.6


class Listed(NamedTuple):
    """A symbol of a venue, as the venue writes it, and the ticker that it gets."""

    symbol: str
    ticker: str


def find_ticker(text: str, listed: Sequence[Listed], source: str) -> str:
    """Return the ticker of the symbol that is meant.

    Case, and all but letters and digits, make no difference unless they tell symbols apart.
    Raises `FeedRefused`, naming near ones, where none or several are meant.

    >>> spot = [Listed("BTCUSDT", "BTC/USDT"), Listed("ETHUSDT", "ETH/USDT")]
    >>> [find_ticker(text, spot, "binance") for text in ("BTC/USDT", "btc-usdt", "ethusdt")]
    ['BTC/USDT', 'BTC/USDT', 'ETH/USDT']
    """
    wanted = bare(text)
    found = [one for one in listed if wanted in {bare(one.symbol), bare(one.ticker)}]
    exact = [one for one in found if text.upper() in {one.symbol.upper(), one.ticker.upper()}]
    tickers = sorted({one.ticker for one in exact or found})
    if len(tickers) == 1:
        return tickers[0]
    if tickers:
        several = " or ".join(tickers[:NEAR_NAMES])
        raise FeedRefused(f"{source}: symbol {text!r} may mean {several}")
    near = near_tickers(text, listed)
    hint = f"near ones: {', '.join(near)}" if near else f"`orderflow feed symbols {source}` has all"
    raise FeedRefused(f"{source} has no symbol {text!r}; {hint}")


def bare(text: str) -> str:
    """Return the letters and digits of a symbol, in one case.

    >>> bare("btc-usd"), bare("BRK.B"), bare("SPY   241220C00450000")
    ('BTCUSD', 'BRKB', 'SPY241220C00450000')
    """
    return "".join(filter(str.isalnum, text)).upper()


def near_tickers(text: str, listed: Sequence[Listed]) -> list[str]:
    """Return the tickers that a text is most like, the likest first."""
    by_name = {bare(one.ticker): one.ticker for one in listed}
    near = difflib.get_close_matches(bare(text), by_name, NEAR_NAMES, _MIN_LIKENESS)
    return [by_name[name] for name in near]


def matching(text: str, listed: Sequence[Listed]) -> list[str]:
    """Return the tickers that hold a text, in the order of the alphabet; all for no text."""
    wanted = bare(text)
    return sorted({one.ticker for one in listed if wanted in bare(one.ticker)})
