"""Tardis.dev's CSV files: `quotes` or `book_ticker`, and `trades` beside.

All stamps are `local_timestamp`, when Tardis received them: some venues stamp trades and not
quotes, and stamps of two clocks would put trades before quotes that were there already.
"""

import re
from pathlib import Path

import pandas as pd

from app.core.errors import TapeError
from app.feeds.formats.files import read_csv, replaced
from app.feeds.tape import TapeTable

EXAMPLE = "binance_quotes_2024-08-08_BTCUSDT.csv.gz"
US_PER_MS = 1000
_QUOTES = {
    "local_timestamp": "ts_ms",
    "bid_price": "bid_price",
    "bid_amount": "bid_size",
    "ask_price": "ask_price",
    "ask_amount": "ask_size",
}
_TRADES = {"local_timestamp": "ts_ms", "price": "price", "amount": "size", "side": "aggressor"}
_KIND = re.compile(r"_(?:quotes|book_ticker|trades)_(?=\d{4}-)")


def files_beside(path: Path) -> tuple[Path, Path | None]:
    """Return the files of quotes and of trades; those of trades may be missing."""
    trades = replaced(path, _KIND, "_trades_", EXAMPLE)
    quotes = path
    if path == trades:
        named = [replaced(path, _KIND, f"_{kind}_", EXAMPLE) for kind in ("quotes", "book_ticker")]
        quotes = next((one for one in named if one.exists()), named[0])
    return quotes, trades if trades.exists() else None


def tickers_in(quotes: Path) -> list[str]:
    """Return the symbols of a file; raises `TapeError`."""
    symbols: list[str] = read_csv(quotes, ["symbol"])["symbol"].astype(str).unique().tolist()
    return symbols


def read_tables(
    quotes: Path, trades: Path | None, ticker: str | None
) -> tuple[TapeTable, TapeTable | None]:
    """Return the quotes and trades, of the symbol `ticker` where a file has several.

    Raises `TapeError`.
    """
    table = _read(quotes, _QUOTES, ticker)
    for side in ("bid", "ask"):
        # An empty side has neither price nor amount.
        table[f"{side}_size"] = table[f"{side}_size"].where(table[f"{side}_price"].notna(), 0.0)
    if trades is None:
        return TapeTable(quotes, table), None
    return TapeTable(quotes, table), TapeTable(trades, _read(trades, _TRADES, ticker))


def _read(path: Path, columns: dict[str, str], ticker: str | None) -> pd.DataFrame:
    table = read_csv(path, ["symbol", *columns])
    symbols = table["symbol"].astype(str)
    found = symbols.unique().tolist()
    if len(found) > 1:
        if ticker not in found:
            raise TapeError(f"{path}: holds {len(found)} symbols; choose one by --ticker")
        table = table[symbols == ticker].reset_index(drop=True)
    table = table.rename(columns=columns)
    try:
        table["ts_ms"] = table["ts_ms"] / US_PER_MS
    except TypeError:
        raise TapeError(f"{path}: column local_timestamp holds no epoch microseconds") from None
    return table
