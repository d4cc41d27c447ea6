"""Tapes: CSV files of quotes and trades, read into records in stream order."""

import zlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
import structlog

from app.analysis.price_units import (
    DEFAULT_DIGITS,
    EXACT_DIGITS,
    MAX_UNITS,
    NOISE,
    NOT_HELD,
    digits_needed,
    in_other_unit,
    to_price_units,
)
from app.analysis.record_parser import INEXACT_PRICE
from app.analysis.record_schemas import (
    AGGRESSORS,
    MAX_PRICE,
    MIN_EPOCH_MS,
    NO_AGGRESSOR,
    RecordChecks,
    quote_checks,
    trade_checks,
)
from app.analysis.records import (
    PRICE_UNITS,
    UNSIGNED,
    Fault,
    Quote,
    Record,
    Span,
    Trade,
    count_faults,
)
from app.core.errors import TapeError
from app.core.gzip_members import whole_members
from app.feeds.tape_rows import QUOTE_COLUMNS, TRADE_COLUMNS

log = structlog.get_logger()

_MAX_EXACT_INT = 2.0**53
_UNKNOWN_AGGRESSOR = "unknown_aggressor"
# As in `price_units`: below it, the nearest whole number is meant.
_UNAMBIGUOUS_UNITS = 2.0**48
UNITS = {"ms": (1, 1), "s": (1000, 1), "us": (1, 1000), "ns": (1, 1_000_000)}
"""Units of stamps, each as a fraction of ms."""
LATEST_MS = 1e14
"""Above it a stamp counts µs or ns, not milliseconds."""

Floats = npt.NDArray[np.float64]
Whole = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Tape:
    """A ticker's records in stream order, and the stamp and name of each odd row's fault.

    Prices are in units of 10^-`digits`: the coarsest unit that holds them all. `gaps` are times
    whose records were lost, by their ends.
    """

    records: list[Record]
    faults: list[Fault]
    digits: int = DEFAULT_DIGITS
    gaps: Sequence[Span] = ()

    @property
    def rejected(self) -> Counter[str]:
        """Count the rows left out by reason; `duplicate` is one of them."""
        return count_faults(fault for fault in self.faults if fault[1] != _UNKNOWN_AGGRESSOR)

    @property
    def unknown_aggressors(self) -> int:
        """Count the trades whose aggressor is an unknown word; they are used as without one."""
        return count_faults(self.faults)[_UNKNOWN_AGGRESSOR]


def read_tape(
    quotes: Path, trades: Path | None = None, shift_ms: int = 0, unit: str = "ms"
) -> Tape:
    """Read one ticker's tape, whose stamps are in `unit`, and add `shift_ms` to them.

    Unless every row of both files has a `seq`, all rows are renumbered: by stamp, at an equal
    stamp trades before quotes, each in the file's order. Rows that the record parser would
    refuse are left out and counted by the same reasons.

    Raises `TapeError` with file, column, row (the first below the header is 1) and value.
    """
    return tape_of_tables(
        TapeTable(quotes, _table(quotes, QUOTE_COLUMNS)),
        None if trades is None else TapeTable(trades, _table(trades, TRADE_COLUMNS)),
        shift_ms,
        unit,
    )


class TapeTable(NamedTuple):
    """The rows of a file, whatever its format, with the columns of tapes."""

    path: Path
    rows: pd.DataFrame


def tape_of_tables(
    quotes: TapeTable, trades: TapeTable | None, shift_ms: int = 0, unit: str = "ms"
) -> Tape:
    """Return one ticker's tape of the rows of its files, by the rules of `read_tape`."""
    rows = [_quote_rows(*quotes, shift_ms, unit)]
    if trades is not None:
        rows.insert(0, _trade_rows(*trades, shift_ms, unit))
    return _merge(rows)


@dataclass(frozen=True, slots=True)
class _Rows:
    """The usable rows of one file, as columns and as records without their final `seq`."""

    stamps: Floats
    seqs: Whole | None
    records: list[Record]
    faults: list[Fault]
    digits: int


def _merge(files: list[_Rows]) -> Tape:
    """Merge trades (first of `files`) and quotes; the sort is stable, so ties keep their order."""
    stamps = np.concatenate([rows.stamps for rows in files])
    digits = _common_digits(files)
    records = [record for rows in files for record in _in_unit(rows, digits)]
    faults = [fault for rows in files for fault in rows.faults]
    numbered = [rows.seqs for rows in files if rows.seqs is not None]
    if len(numbered) < len(files):
        order = np.argsort(stamps, kind="stable").tolist()
        return Tape(_renumber([records[i] for i in order]), faults, digits)
    seqs = np.concatenate(numbered)
    order = np.lexsort((seqs, stamps))
    repeated = _duplicate_flags(stamps[order], seqs[order])
    faults += [(float(stamp), "duplicate") for stamp in stamps[order[repeated]]]
    return Tape([records[i] for i in order[~repeated].tolist()], faults, digits)


def _common_digits(files: list[_Rows]) -> int:
    """Return the digits of the coarsest unit that holds all prices, of any size if need be."""
    digits = max(rows.digits for rows in files)
    if digits == DEFAULT_DIGITS:
        return digits
    greatest = max(
        in_other_unit(max(_prices_of(record)), rows.digits, digits)
        for rows in files
        for record in rows.records
    )
    return digits if greatest <= MAX_UNITS else EXACT_DIGITS


def _prices_of(record: Record) -> tuple[int, ...]:
    return (record.bid_price, record.ask_price) if isinstance(record, Quote) else (record.price,)


def _in_unit(rows: _Rows, digits: int) -> list[Record]:
    """Return a file's records with their prices in units of 10^-digits."""
    if rows.digits != digits:
        for record in rows.records:
            if isinstance(record, Quote):
                record.bid_price = in_other_unit(record.bid_price, rows.digits, digits)
                record.ask_price = in_other_unit(record.ask_price, rows.digits, digits)
            else:
                record.price = in_other_unit(record.price, rows.digits, digits)
    return rows.records


def _renumber(records: list[Record]) -> list[Record]:
    for seq, record in enumerate(records):
        record.seq = seq
    return records


def _duplicate_flags(stamps: Floats, seqs: Whole) -> Flags:
    repeated = np.zeros(len(stamps), dtype=np.bool_)
    repeated[1:] = (stamps[1:] == stamps[:-1]) & (seqs[1:] == seqs[:-1])
    return repeated


def _quote_rows(path: Path, table: pd.DataFrame, shift_ms: int, unit: str) -> _Rows:
    stamps = _stamps(path, table, unit) + shift_ms
    (bid, bid_size), (ask, ask_size) = (_side(path, table, name) for name in ("bid", "ask"))
    numbers = [bid, bid_size, ask, ask_size]
    prices = _Prices([np.where(bid_size > 0, bid, 0.0), np.where(ask_size > 0, ask, 0.0)])
    reasons = _reasons(stamps, numbers, [*quote_checks(*numbers), prices.check])
    kept = reasons == ""
    seqs = _seqs(path, table)
    records: list[Record] = list(
        map(
            Quote,
            stamps[kept].tolist(),
            _seq_list(seqs, kept),
            prices.units(0, kept),
            _sizes(bid_size[kept]),
            prices.units(1, kept),
            _sizes(ask_size[kept]),
        )
    )
    faults = _faults(stamps, reasons)
    return _Rows(stamps[kept], _seqs_of(seqs, kept), records, faults, prices.digits(kept))


def _side(path: Path, table: pd.DataFrame, side: str) -> tuple[Floats, Floats]:
    """Return a side's prices and sizes; where the size is 0 the price is, whatever stands there."""
    sizes = _numbers(path, table, f"{side}_size")
    is_empty = sizes == 0
    prices = _numbers(path, table, f"{side}_price", ignored=is_empty)
    return np.where(is_empty, 0.0, prices), sizes


def _trade_rows(path: Path, table: pd.DataFrame, shift_ms: int, unit: str) -> _Rows:
    stamps = _stamps(path, table, unit) + shift_ms
    price, size = numbers = [_numbers(path, table, name) for name in TRADE_COLUMNS[1:]]
    prices = _Prices([price])
    reasons = _reasons(stamps, numbers, [*trade_checks(*numbers), prices.check])
    kept = reasons == ""
    seqs = _seqs(path, table)
    words = _aggressor_words(table)[kept]
    records: list[Record] = list(
        map(
            Trade,
            stamps[kept].tolist(),
            _seq_list(seqs, kept),
            prices.units(0, kept),
            size[kept].tolist(),
            words.map(AGGRESSORS).fillna(UNSIGNED).astype(np.int64).tolist(),
        )
    )
    is_unknown = ~words.isin([*AGGRESSORS, NO_AGGRESSOR]) & words.notna()
    faults = _faults(stamps, reasons)
    faults += [(stamp, _UNKNOWN_AGGRESSOR) for stamp in stamps[kept][is_unknown].tolist()]
    return _Rows(stamps[kept], _seqs_of(seqs, kept), records, faults, prices.digits(kept))


def _reasons(
    stamps: Floats, columns: Sequence[Floats], checks: RecordChecks
) -> npt.NDArray[np.str_]:
    """Return each row's reason to be refused, "" for none: the record parser's, in its order."""
    finite: RecordChecks = []
    for column in columns:
        finite += [("missing_number", np.isnan(column)), ("not_finite", np.isinf(column))]
    era = [("seconds_not_ms", stamps < MIN_EPOCH_MS), ("not_ms", stamps > LATEST_MS)]
    checks = [*finite, *checks, *era]
    return np.select([applies for _, applies in checks], [reason for reason, _ in checks], "")


def _faults(stamps: Floats, reasons: npt.NDArray[np.str_]) -> list[Fault]:
    bad = reasons != ""
    return list(zip(stamps[bad].tolist(), reasons[bad].tolist(), strict=True))


def _table(path: Path, needed: tuple[str, ...]) -> pd.DataFrame:
    try:
        table = _read_csv(path, path, needed)
    except (OSError, EOFError, zlib.error) as error:
        # A recorder that was killed leaves a file whose last member may be torn.
        whole = b"".join(whole_members(path)) if path.is_file() else b""
        if not whole:
            raise TapeError(f"{path}: can't be read as CSV: {error}") from error
        log.warning("tape is torn, only its whole parts are read", path=str(path))
        table = _read_csv(path, BytesIO(whole), needed)
    for name in needed:
        if name not in table:
            raise TapeError(f"{path}: column {name!r} is missing; needed are {', '.join(needed)}")
    return table


def _read_csv(path: Path, source: Path | BytesIO, needed: tuple[str, ...]) -> pd.DataFrame:
    """Read the columns of a tape; raises `TapeError` where what is read is no CSV."""
    wanted = {*needed, "seq", "aggressor"}
    try:
        return pd.read_csv(
            source,
            usecols=lambda name: name in wanted,
            dtype={"aggressor": str},
            keep_default_na=False,
            na_values=[""],
            index_col=False,
            low_memory=False,
        )
    except (UnicodeDecodeError, ValueError) as error:
        raise TapeError(f"{path}: can't be read as CSV: {error}") from error


def _numbers(path: Path, table: pd.DataFrame, name: str, *, ignored: Flags | None = None) -> Floats:
    """Return a column; text is an error but in rows to be `ignored`."""
    column = table[name]
    if column.dtype.kind in "iuf":
        floats: Floats = column.to_numpy(np.float64)
        return floats
    as_numbers = pd.to_numeric(column.astype(str).where(column.notna()), errors="coerce")
    is_text = as_numbers.isna() & column.notna()
    wrong = np.flatnonzero(is_text if ignored is None else is_text & ~ignored)
    if len(wrong):
        raise _cell_error(path, name, int(wrong[0]), column.iloc[wrong[0]], "a number")
    numbers: Floats = as_numbers.to_numpy(np.float64)
    return numbers


def _stamps(path: Path, table: pd.DataFrame, unit: str) -> Floats:
    stamps = _numbers(path, table, "ts_ms")
    wrong = np.flatnonzero(~np.isfinite(stamps))
    if len(wrong):
        raise _cell_error(path, "ts_ms", int(wrong[0]), stamps[wrong[0]], "epoch milliseconds")
    factor, divisor = UNITS[unit]
    in_ms: Floats = stamps * factor / divisor
    return in_ms


def _cell_error(path: Path, column: str, index: int, value: object, allowed: str) -> TapeError:
    return TapeError(
        f"{path}: column {column}, row {index + 1}: {value!r} is not allowed: {allowed} is"
    )


def _seqs(path: Path, table: pd.DataFrame) -> Whole | None:
    """Return each row's `seq`, None unless every row has a usable one."""
    if "seq" not in table:
        return None
    if table["seq"].dtype.kind == "i":
        whole = table["seq"].to_numpy(np.int64)
        return whole if bool((whole >= 0).all()) else None
    numbers = _numbers(path, table, "seq")
    usable = (numbers >= 0) & (numbers < _MAX_EXACT_INT) & (np.floor(numbers) == numbers)
    return numbers.astype(np.int64) if bool(usable.all()) else None


def _seqs_of(seqs: Whole | None, kept: Flags) -> Whole | None:
    return None if seqs is None else seqs[kept]


def _seq_list(seqs: Whole | None, kept: Flags) -> list[int]:
    numbers: list[int] = [0] * int(kept.sum()) if seqs is None else seqs[kept].tolist()
    return numbers


class _Prices:
    """The prices of one file, held as the record parser holds them; 0 on an empty side.

    Nearly all tapes need units of 1e-8 only, and prices that arrays of doubles hold. The other
    prices are held one by one in units of 10^-`EXACT_DIGITS`.
    """

    def __init__(self, columns: Sequence[Floats]) -> None:
        with np.errstate(over="ignore", invalid="ignore"):
            scaled = [column * PRICE_UNITS for column in columns]
            self._whole = [np.floor(one + 0.5) for one in scaled]
            is_usual = [
                (abs(one - whole) <= one * NOISE) & (one < _UNAMBIGUOUS_UNITS)
                for one, whole in zip(scaled, self._whole, strict=True)
            ]
        self._other: list[dict[int, int]] = [
            {
                row: to_price_units(float(column[row]), EXACT_DIGITS)
                for row in np.flatnonzero(~usual & (column > 0) & (column <= MAX_PRICE)).tolist()
            }
            for column, usual in zip(columns, is_usual, strict=True)
        ]

    @property
    def check(self) -> tuple[str, Flags]:
        """Return the reason to refuse rows, and which."""
        inexact = np.zeros(len(self._whole[0]), dtype=np.bool_)
        for others in self._other:
            inexact[[row for row, units in others.items() if units == NOT_HELD]] = True
        return INEXACT_PRICE, inexact

    def digits(self, kept: Flags) -> int:
        """Return the digits of the coarsest unit that holds all kept prices."""
        needed = {
            digits_needed(units, EXACT_DIGITS)
            for others in self._other
            for row, units in others.items()
            if kept[row]
        }
        return max(needed, default=DEFAULT_DIGITS)

    def units(self, column: int, kept: Flags) -> list[int]:
        """Return the kept prices of a column in that unit."""
        digits = self.digits(kept)
        others = {row: u for row, u in self._other[column].items() if kept[row]}
        if not others:
            whole = self._whole[column][kept].astype(np.int64).tolist()
            return (
                whole if digits == DEFAULT_DIGITS else [in_other_unit(u, 8, digits) for u in whole]
            )
        rows = np.flatnonzero(kept).tolist()
        return [
            in_other_unit(others[row], EXACT_DIGITS, digits)
            if row in others
            else in_other_unit(int(self._whole[column][row]), DEFAULT_DIGITS, digits)
            for row in rows
        ]


def _sizes(sizes: Floats) -> list[float]:
    """Return sizes with 0.0 for -0.0, as the record parser does."""
    positive: list[float] = (sizes + 0.0).tolist()
    return positive


def _aggressor_words(table: pd.DataFrame) -> "pd.Series[str]":
    """Return the aggressors in lower case, missing where a row has none."""
    if "aggressor" not in table:
        return pd.Series(None, table.index, dtype=str)
    return table["aggressor"].str.lower()
