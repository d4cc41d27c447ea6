"""A tape as columns, with the standing quote before each trade."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from app.analysis.record_schemas import AGGRESSORS
from app.core.errors import TapeError
from app.feeds.tape_rows import QUOTE_COLUMNS, TRADE_COLUMNS

Floats = npt.NDArray[np.float64]
Whole = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Quotes:
    """Valid quotes in stream order; prices and sizes in the feed's own units."""

    stamp: Floats
    seq: Whole
    bid: Floats
    bid_size: Floats
    ask: Floats
    ask_size: Floats

    @cached_property
    def mid(self) -> Floats:
        """Mean of the best prices."""
        return (self.bid + self.ask) / 2

    @cached_property
    def tick(self) -> float:
        """Least difference between two quoted prices."""
        steps = np.diff(np.unique(np.round(np.concatenate([self.bid, self.ask]), 8)))
        return float(steps.min()) if len(steps) else float("nan")


@dataclass(frozen=True)
class Trades:
    """Trades in stream order; `before` is the index of the quote just before each.

    `sign` is +1 for a given buyer, -1 for a seller, 0 where none is given.
    """

    stamp: Floats
    seq: Whole
    price: Floats
    size: Floats
    sign: Floats
    hidden: Flags
    before: Whole


@dataclass(frozen=True)
class TapeTables:
    """A tape's quotes and trades."""

    quotes: Quotes
    trades: Trades


def read_tape_tables(quotes_path: Path, trades_path: Path | None = None) -> TapeTables:
    """Read both files of a tape, or that of its quotes.

    Unless both have `seq`, the order is by stamp, trades before quotes.

    Raises `TapeError` where a file is no tape or has no valid quote.
    """
    quotes = _table(quotes_path, QUOTE_COLUMNS)
    trades = pd.DataFrame(columns=[*TRADE_COLUMNS, "seq"], dtype=np.float64)
    if trades_path is not None:
        trades = _table(trades_path, TRADE_COLUMNS)
    _number(quotes, trades)
    valid = (quotes["bid_size"] > 0) & (quotes["ask_size"] > 0)
    valid &= quotes["bid_price"] < quotes["ask_price"]
    quotes = quotes[valid].sort_values(["ts_ms", "seq"])
    if quotes.empty:
        raise TapeError(f"{quotes_path}: no valid quote")
    standing = Quotes(
        *(_floats(quotes, "ts_ms"), quotes["seq"].to_numpy(np.int64)),
        *(_floats(quotes, name) for name in QUOTE_COLUMNS[1:]),
    )
    before = np.searchsorted(standing.seq, trades["seq"].to_numpy()) - 1
    return TapeTables(standing, _trades(trades[before >= 0], before[before >= 0]))


def _table(path: Path, needed: tuple[str, ...]) -> pd.DataFrame:
    try:
        table = pd.read_csv(path)
    except (OSError, EOFError, ValueError) as error:
        raise TapeError(f"{path}: can't be read as CSV: {error}") from error
    missing = [name for name in needed if name not in table]
    if missing:
        raise TapeError(f"{path}: no column {', '.join(missing)}")
    return table.dropna(subset=list(needed))


def _number(quotes: pd.DataFrame, trades: pd.DataFrame) -> None:
    """Set `seq` in both tables to one sequence, unless both have it."""
    if "seq" in quotes and "seq" in trades:
        return
    stamps = np.concatenate([trades["ts_ms"], quotes["ts_ms"]])
    places = np.empty(len(stamps), dtype=np.int64)
    places[np.argsort(stamps, kind="stable")] = np.arange(len(stamps))
    trades["seq"], quotes["seq"] = places[: len(trades)], places[len(trades) :]


def _trades(table: pd.DataFrame, before: Whole) -> Trades:
    aggressors = table["aggressor"] if "aggressor" in table else pd.Series("", table.index)
    hidden = table["hidden"] == 1 if "hidden" in table else pd.Series(data=False, index=table.index)
    return Trades(
        _floats(table, "ts_ms"),
        table["seq"].to_numpy(np.int64),
        _floats(table, "price"),
        _floats(table, "size"),
        aggressors.astype("str")
        .str.lower()
        .map(AGGRESSORS)
        .fillna(0.0)
        .to_numpy()
        .astype(np.float64),
        hidden.to_numpy(np.bool_),
        before,
    )


def _floats(table: pd.DataFrame, name: str) -> Floats:
    column: Floats = table[name].to_numpy(np.float64)
    return column
