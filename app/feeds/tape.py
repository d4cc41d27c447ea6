"""Tapes: CSV files of quotes and trades, read into records in stream order."""

import zlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from app.analysis.record_schemas import (
    AGGRESSORS,
    MIN_EPOCH_MS,
    RecordChecks,
    quote_checks,
    trade_checks,
)
from app.analysis.records import PRICE_UNITS, UNSIGNED, Quote, Record, Trade, count_faults
from app.core.errors import TapeError

QUOTE_COLUMNS = ("ts_ms", "bid_price", "bid_size", "ask_price", "ask_size")
TRADE_COLUMNS = ("ts_ms", "price", "size")
_MAX_EXACT_INT = 2.0**53
UNITS = {"ms": (1, 1), "s": (1000, 1), "us": (1, 1000), "ns": (1, 1_000_000)}
"""Units of stamps, each as a fraction of ms."""
LATEST_MS = 1e14
"""Above it a stamp counts µs or ns, not milliseconds."""

Floats = npt.NDArray[np.float64]
Whole = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Tape:
    """A ticker's records in stream order, and the stamp and reason of each row left out."""

    records: list[Record]
    faults: list[tuple[float, str]]

    @property
    def rejected(self) -> Counter[str]:
        """Count the rows left out by reason; `duplicate` is one of them."""
        return count_faults(self.faults)


def read_tape(
    quotes: Path, trades: Path | None = None, shift_ms: int = 0, unit: str = "ms"
) -> Tape:
    """Read one ticker's tape, whose stamps are in `unit`, and add `shift_ms` to them.

    Unless every row of both files has a `seq`, all rows are renumbered: by stamp, at an equal
    stamp trades before quotes, each in the file's order. Rows that the record parser would
    refuse are left out and counted by the same reasons.

    Raises `TapeError` with file, column, row (the first below the header is 1) and value.
    """
    rows = [_quote_rows(quotes, shift_ms, unit)]
    if trades is not None:
        rows.insert(0, _trade_rows(trades, shift_ms, unit))
    return _merge(rows)


@dataclass(frozen=True, slots=True)
class _Rows:
    """The usable rows of one file, as columns and as records without their final `seq`."""

    stamps: Floats
    seqs: Whole | None
    records: list[Record]
    faults: list[tuple[float, str]]


def _merge(files: list[_Rows]) -> Tape:
    """Merge trades (first of `files`) and quotes; the sort is stable, so ties keep their order."""
    stamps = np.concatenate([rows.stamps for rows in files])
    records = [record for rows in files for record in rows.records]
    faults = [fault for rows in files for fault in rows.faults]
    numbered = [rows.seqs for rows in files if rows.seqs is not None]
    if len(numbered) < len(files):
        order = np.argsort(stamps, kind="stable").tolist()
        return Tape(_renumber([records[i] for i in order]), faults)
    seqs = np.concatenate(numbered)
    order = np.lexsort((seqs, stamps))
    repeated = _duplicate_flags(stamps[order], seqs[order])
    faults += [(float(stamp), "duplicate") for stamp in stamps[order[repeated]]]
    return Tape([records[i] for i in order[~repeated].tolist()], faults)


def _renumber(records: list[Record]) -> list[Record]:
    for seq, record in enumerate(records):
        record.seq = seq
    return records


def _duplicate_flags(stamps: Floats, seqs: Whole) -> Flags:
    repeated = np.zeros(len(stamps), dtype=np.bool_)
    repeated[1:] = (stamps[1:] == stamps[:-1]) & (seqs[1:] == seqs[:-1])
    return repeated


def _quote_rows(path: Path, shift_ms: int, unit: str) -> _Rows:
    table = _table(path, QUOTE_COLUMNS)
    stamps = _stamps(path, table, unit) + shift_ms
    numbers = [_numbers(path, table, name) for name in QUOTE_COLUMNS[1:]]
    reasons = _reasons(stamps, numbers, quote_checks(*numbers))
    kept = reasons == ""
    bid_price, bid_size, ask_price, ask_size = (column[kept] for column in numbers)
    seqs = _seqs(path, table)
    records: list[Record] = list(
        map(
            Quote,
            stamps[kept].tolist(),
            _seq_list(seqs, kept),
            _units(bid_price),
            _sizes(bid_size),
            _units(ask_price),
            _sizes(ask_size),
        )
    )
    return _Rows(stamps[kept], _seqs_of(seqs, kept), records, _faults(stamps, reasons))


def _trade_rows(path: Path, shift_ms: int, unit: str) -> _Rows:
    table = _table(path, TRADE_COLUMNS)
    stamps = _stamps(path, table, unit) + shift_ms
    price, size = numbers = [_numbers(path, table, name) for name in TRADE_COLUMNS[1:]]
    reasons = _reasons(stamps, numbers, trade_checks(*numbers))
    kept = reasons == ""
    seqs = _seqs(path, table)
    records: list[Record] = list(
        map(
            Trade,
            stamps[kept].tolist(),
            _seq_list(seqs, kept),
            _units(price[kept]),
            size[kept].tolist(),
            _aggressors(table, kept),
        )
    )
    return _Rows(stamps[kept], _seqs_of(seqs, kept), records, _faults(stamps, reasons))


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


def _faults(stamps: Floats, reasons: npt.NDArray[np.str_]) -> list[tuple[float, str]]:
    bad = reasons != ""
    return list(zip(stamps[bad].tolist(), reasons[bad].tolist(), strict=True))


def _table(path: Path, needed: tuple[str, ...]) -> pd.DataFrame:
    wanted = {*needed, "seq", "aggressor"}
    try:
        table = pd.read_csv(
            path,
            usecols=lambda name: name in wanted,
            dtype={"aggressor": str},
            keep_default_na=False,
            na_values=[""],
            index_col=False,
            low_memory=False,
        )
    except (OSError, EOFError, zlib.error, UnicodeDecodeError, ValueError) as error:
        raise TapeError(f"{path}: can't be read as CSV: {error}") from error
    for name in needed:
        if name not in table:
            raise TapeError(f"{path}: column {name!r} is missing; needed are {', '.join(needed)}")
    return table


def _numbers(path: Path, table: pd.DataFrame, name: str) -> Floats:
    column = table[name]
    if column.dtype.kind in "iuf":
        floats: Floats = column.to_numpy(np.float64)
        return floats
    as_numbers = pd.to_numeric(column.astype(str).where(column.notna()), errors="coerce")
    wrong = np.flatnonzero(as_numbers.isna() & column.notna())
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


def _units(prices: Floats) -> list[int]:
    """Convert prices to integers of 1e-8, rounded like the record parser does."""
    units: list[int] = np.rint(prices * PRICE_UNITS).astype(np.int64).tolist()
    return units


def _sizes(sizes: Floats) -> list[float]:
    """Return sizes with 0.0 for -0.0, as the record parser does."""
    positive: list[float] = (sizes + 0.0).tolist()
    return positive


def _aggressors(table: pd.DataFrame, kept: Flags) -> list[int]:
    if "aggressor" not in table:
        return [UNSIGNED] * int(kept.sum())
    sides = table["aggressor"][kept].map(AGGRESSORS).fillna(UNSIGNED)
    aggressors: list[int] = sides.astype(np.int64).tolist()
    return aggressors
