"""Read a tape whose clock can be believed, or raise an error that asks for its unit.

A tape in another unit than milliseconds would be analysed second by second through millions of
years. Where the unit is given, the tape is believed, with its empty hours.
"""

from dataclasses import replace
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

import click

from app.analysis.record_schemas import MIN_EPOCH_MS
from app.core.errors import TapeError
from app.feeds.formats import CSV, format_of, read_tape_of
from app.feeds.tape import LATEST_MS, UNITS, Tape
from app.feeds.tape_gaps import gaps_path, read_gaps

MAX_SILENT_MS = 1_000_000.0
_YEAR_1990_MS, _YEAR_2100_MS = 631_152_000_000.0, 4_102_444_800_000.0

stamps_option = click.option(
    "--stamps",
    type=click.Choice(list(UNITS)),
    help="Unit of ts_ms, where it is no ms; ms: also with long gaps, as between two sessions.",
)


def read_usable_tape(  # noqa: PLR0913, PLR0917 - the options of commands
    quotes: Path,
    trades: Path | None = None,
    shift_ms: int = 0,
    stamps: str | None = None,
    form: str | None = None,
    ticker: str | None = None,
) -> Tape:
    """Read one ticker's tape, as `read_tape` does; `stamps` is the unit that was given.

    `form` is the tape's format, if it was given. `ticker` is the one to read where a file of
    others has several; the unit of their stamps is known.

    Where a file of gaps lies beside it, they are the tape's.

    Raises `TapeError` also if the stamps can't be true, or if no record is usable.
    """
    tape = read_tape_of(quotes, trades, shift_ms, stamps or "ms", form, ticker)
    _check_era(quotes, tape, stamps)
    if not tape.records:
        raise TapeError(f"{quotes}: no usable record; left out: {dict(tape.rejected)}")
    if stamps is None and format_of(quotes, form) == CSV:
        _check_gaps(quotes, tape)
    gaps = gaps_path(quotes)
    return replace(tape, gaps=read_gaps(gaps, shift_ms)) if gaps.exists() else tape


def _check_era(path: Path, tape: Tape, stamps: str | None) -> None:
    """Raise `TapeError` if most rows lie before or after all times that are analysed."""
    seen = [*(record.stamp for record in tape.records), *(stamp for stamp, _ in tape.faults)]
    strange = [stamp for stamp in seen if not MIN_EPOCH_MS <= stamp <= LATEST_MS]
    if 2 * len(strange) <= len(seen):
        return
    unit = stamps or "ms"
    raise TapeError(
        f"{path}: the stamps are no {unit}: {_in_unit(strange[0], unit):.16g} would be "
        f"{_date(strange[0])}; {_advice(strange[0], unit)}"
    )


def _check_gaps(path: Path, tape: Tape) -> None:
    """Raise `TapeError` if there was no record for longer than feeds are silent."""
    stamps = [record.stamp for record in tape.records]
    silent_ms, before_ms = max(
        ((later - earlier, earlier) for earlier, later in pairwise(stamps)),
        default=(0.0, 0.0),
    )
    if silent_ms > MAX_SILENT_MS:
        raise TapeError(
            f"{path}: no record for {silent_ms / 1000:.0f} s after {before_ms:.16g} "
            f"({_date(before_ms)}): give --stamps ms if that is true, else the unit of ts_ms: "
            "--stamps s, us or ns"
        )


def _in_unit(stamp_ms: float, unit: str) -> float:
    factor, divisor = UNITS[unit]
    return stamp_ms * divisor / factor


def _advice(stamp_ms: float, unit: str) -> str:
    written = _in_unit(stamp_ms, unit)
    for other, (factor, divisor) in UNITS.items():
        if _YEAR_1990_MS <= written * factor / divisor <= _YEAR_2100_MS:
            return f"give --stamps {other}"
    return "ts_ms holds epoch milliseconds, or what --stamps says: s, us or ns"


def _date(stamp_ms: float) -> str:
    try:
        return datetime.fromtimestamp(stamp_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    except (ValueError, OverflowError, OSError):
        return "no year that there is"
