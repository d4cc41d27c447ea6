"""Databento's files, `.dbn` and `.dbn.zst`, of the schemas mbp-1 and tbbo.

Quotes and trades are one sequence. All stamps are `ts_event`, the venue's own.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from app.core.errors import TapeError
from app.feeds.tape import TapeTable
from app.feeds.tape_rows import QUOTE_COLUMNS, TRADE_COLUMNS

NS_PER_MS = 1_000_000
UNITS_PER_PRICE = 1_000_000_000
SCHEMAS = ("mbp-1", "tbbo")
_CHUNK_BYTES = 1 << 20
_AGGRESSORS = {"B": "buy", "A": "sell"}
_TRADE = "T"


def files_beside(path: Path) -> tuple[Path, Path | None]:
    """Return the file itself, which holds both."""
    return path, None


def tickers_in(quotes: Path) -> list[str]:
    """Return the symbols that a file names, in its order; raises `TapeError`."""
    return list(dict.fromkeys(_read(quotes, only_names=True).names.values()))


def read_tables(
    quotes: Path, trades: Path | None, ticker: str | None
) -> tuple[TapeTable, TapeTable | None]:
    """Return the quotes and trades, of the symbol `ticker` where a file has several.

    Raises `TapeError`.
    """
    if trades is not None:
        raise TapeError(f"{quotes}: holds quotes and trades; {trades} can't be read with it")
    found = _read(quotes)
    wanted = _instruments_of(quotes, found, ticker)
    rows = _Rows()
    publishers = set()
    for seq, record in enumerate(found.records):
        if record.instrument_id in wanted:
            publishers.add(record.publisher_id)
            rows.add(record, 2 * seq, is_before_trade=found.schema == "tbbo")
    if len(publishers) > 1:
        raise TapeError(
            f"{quotes}: holds the books of {len(publishers)} publishers; allowed is one: "
            "download a single venue's dataset, or filter by publisher_id"
        )
    return (
        TapeTable(quotes, pd.DataFrame(rows.quotes, columns=[*QUOTE_COLUMNS, "seq"])),
        TapeTable(quotes, pd.DataFrame(rows.trades, columns=[*TRADE_COLUMNS, "aggressor", "seq"])),
    )


class _Contents(NamedTuple):
    """A file's schema, the name of each instrument, and the records of best quotes and trades."""

    schema: str
    names: dict[int, str]
    records: list[Any]


class _Rows:
    """The rows of a tape, one after another."""

    def __init__(self) -> None:
        self.quotes: list[tuple[float, ...]] = []
        self.trades: list[tuple[float, float, float, str | None, int]] = []
        self._best: tuple[float, ...] = ()
        self._no_price: int = _dbn().UNDEF_PRICE

    def add(self, record: Any, seq: int, *, is_before_trade: bool) -> None:  # noqa: ANN401
        """Add what a record says: a trade does not change the book, as it was before in `tbbo`."""
        stamp = record.ts_event / NS_PER_MS
        is_trade = str(record.action) == _TRADE
        if is_before_trade or not is_trade:
            level = record.levels[0]
            bid, ask = (
                self._side(level.bid_px, level.bid_sz),
                self._side(level.ask_px, level.ask_sz),
            )
            best = (*bid, *ask)
            if best != self._best:
                self._best = best
                self.quotes.append((stamp, *best, seq))
        if is_trade:
            aggressor = _AGGRESSORS.get(str(record.side))
            price = record.price / UNITS_PER_PRICE
            self.trades.append((stamp, price, float(record.size), aggressor, seq + 1))

    def _side(self, price: int, size: int) -> tuple[float, float]:
        """Return a side's price and size, 0 and 0 where the price is undefined."""
        return (0.0, 0.0) if price == self._no_price else (price / UNITS_PER_PRICE, float(size))


def _instruments_of(path: Path, found: _Contents, ticker: str | None) -> set[int]:
    """Return the ids of the one symbol that is meant."""
    names = set(found.names.values())
    if ticker not in names and len(names) > 1:
        raise TapeError(f"{path}: holds {len(names)} symbols; choose one by --ticker")
    chosen = {one for one, name in found.names.items() if len(names) == 1 or name == ticker}
    return chosen or {record.instrument_id for record in found.records}


def _read(path: Path, *, only_names: bool = False) -> _Contents:
    """Read a file; raises `TapeError`."""
    dbn = _dbn()
    schema, names, records = "", dict[int, str](), list[Any]()
    for record in _decoded(path):
        if isinstance(record, dbn.Metadata):
            schema = str(record.schema)
            if schema not in SCHEMAS:
                raise TapeError(
                    f"{path}: is of the schema {schema}; allowed are {', '.join(SCHEMAS)}"
                )
            names |= _names_in(record)
            if only_names and names:
                break
        elif isinstance(record, dbn.SymbolMappingMsg):
            names[record.instrument_id] = record.stype_out_symbol
        elif isinstance(record, dbn.MBP1Msg):
            names.setdefault(record.instrument_id, str(record.instrument_id))
            if not only_names:
                records.append(record)
    return _Contents(schema, names, records)


def _names_in(metadata: Any) -> dict[int, str]:  # noqa: ANN401 - a Metadata
    return {
        int(interval["symbol"]): symbol
        for symbol, intervals in metadata.mappings.items()
        for interval in intervals
        if interval["symbol"].isdecimal()
    }


def _decoded(path: Path) -> Iterator[Any]:
    """Yield what a file holds, the metadata first."""
    dbn = _dbn()
    zipped = dbn.Compression.ZSTD if path.suffix == ".zst" else dbn.Compression.NONE
    try:
        decoder = dbn.DBNDecoder(compression=zipped)
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK_BYTES):
                decoder.write(chunk)
                yield from decoder.decode()
    except (OSError, ValueError, RuntimeError, dbn.DBNError) as error:
        raise TapeError(f"{path}: can't be read as DBN: {error}") from error


def _dbn() -> Any:  # noqa: ANN401 - a package that may be missing
    try:
        import databento_dbn  # noqa: PLC0415
    except ImportError:
        raise TapeError(
            "Databento's files need the extra databento: pip install 'orderflow[databento]'"
        ) from None
    return databento_dbn
