"""LOBSTER's CSV files: the state of NASDAQ's book after each message, and the messages beside."""

import re
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd

from app.core.errors import TapeError
from app.feeds.formats.files import read_csv, replaced
from app.feeds.tape import TapeTable

EXAMPLE = "AAPL_2012-06-21_34200000_57600000_orderbook_1.csv"
UNITS_PER_PRICE = 10_000
EXECUTIONS = (4, 5, 6)
"""Types of messages: of a visible order, of a hidden one, of an auction."""
AUCTION = 6
NEW_YORK = ZoneInfo("America/New_York")
_KIND = re.compile(r"_(?:orderbook|message)_(?=\d+\.)")
_NAME = re.compile(r"(?P<ticker>[^_]+)_(?P<date>\d{4}-\d\d-\d\d)_")


def files_beside(path: Path) -> tuple[Path, Path | None]:
    """Return the file of the book and that of the messages."""
    return (
        replaced(path, _KIND, "_orderbook_", EXAMPLE),
        replaced(path, _KIND, "_message_", EXAMPLE),
    )


def tickers_in(quotes: Path) -> list[str]:
    """Return the ticker that a file's name begins with; raises `TapeError`."""
    return [_name_of(quotes)["ticker"]]


def read_tables(
    quotes: Path,
    trades: Path | None,
    ticker: str | None,  # noqa: ARG001 - a file has one
) -> tuple[TapeTable, TapeTable | None]:
    """Return each change of the best quote, and the executions; raises `TapeError`.

    An execution comes before what it did to the book.
    """
    if trades is None:
        raise TapeError(f"{quotes}: the file of messages is needed, for their times")
    messages = read_csv(trades, (0, 1, 3, 4, 5), has_header=False)
    book = read_csv(quotes, range(4), has_header=False)
    messages.columns = pd.Index(["seconds", "type", "size", "price", "direction"])
    book.columns = pd.Index(["ask_price", "ask_size", "bid_price", "bid_size"])
    if len(messages) != len(book):
        raise TapeError(f"{quotes}: has {len(book)} rows, its messages have {len(messages)}")
    try:
        ts_ms = _midnight_ms(quotes) + messages["seconds"] * 1000
        seq = pd.Series(2 * np.arange(len(book)))
        return (
            TapeTable(quotes, _changes(book.assign(ts_ms=ts_ms, seq=seq + 1))),
            TapeTable(trades, _executions(messages.assign(ts_ms=ts_ms, seq=seq))),
        )
    except TypeError as error:
        raise TapeError(f"{quotes}: is no LOBSTER file: {error}") from None


def _changes(book: pd.DataFrame) -> pd.DataFrame:
    """Return the rows in which the best quote changed; a side that is empty has size 0."""
    shown = ["ask_price", "ask_size", "bid_price", "bid_size"]
    is_change = (book[shown] != book[shown].shift()).any(axis=1)
    changes = book[is_change].reset_index(drop=True)
    for side in ("ask", "bid"):
        changes[f"{side}_price"] = changes[f"{side}_price"] / UNITS_PER_PRICE
    return changes


def _executions(messages: pd.DataFrame) -> pd.DataFrame:
    """Return the trades: who buys takes a sell order, whose direction is -1."""
    trades = messages[messages["type"].isin(EXECUTIONS)].reset_index(drop=True)
    trades["price"] = trades["price"] / UNITS_PER_PRICE
    taken = trades["direction"].where(trades["type"] != AUCTION)
    trades["aggressor"] = taken.map({-1: "buy", 1: "sell"})
    return trades


def _name_of(path: Path) -> re.Match[str]:
    name = _NAME.match(path.name)
    if name is None:
        raise TapeError(f"{path}: such a tape's name is like {EXAMPLE}")
    return name


def _midnight_ms(path: Path) -> float:
    """Return the midnight in New York after which the seconds of a file count."""
    try:
        day = datetime.fromisoformat(_name_of(path)["date"])
    except ValueError:
        raise TapeError(f"{path}: there is no such date") from None
    return day.replace(tzinfo=NEW_YORK).timestamp() * 1000
