"""Gaps of a tape: a CSV file beside it, `NAME.gaps.csv`, of times whose records were lost."""

import csv
import math
from pathlib import Path
from typing import Final

from app.analysis.records import Span
from app.core.errors import TapeError

GAP_COLUMNS: Final = ("from", "to")
MAX_GAP_MS: Final = 86_400_000
_QUOTES_ENDS: Final = (".quotes.csv", ".quotes.csv.gz", ".csv", ".csv.gz")


def gaps_path(quotes: Path) -> Path:
    """Return the path of the gaps beside a tape's quotes.

    >>> gaps_path(Path("tapes/SPY_2026-01-05.quotes.csv.gz")).name
    'SPY_2026-01-05.gaps.csv'
    """
    end = next((it for it in _QUOTES_ENDS if quotes.name.endswith(it)), "")
    return quotes.with_name(f"{quotes.name.removesuffix(end)}.gaps.csv")


def read_gaps(path: Path, shift_ms: int = 0) -> list[Span]:
    """Read the starts and ends of gaps in epoch ms, in the order of their ends; add `shift_ms`.

    Raises `TapeError` with file, row (the first below the header is 1) and value.
    """
    try:
        with path.open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise TapeError(f"{path}: can't be read as CSV: {error}") from error
    gaps = [_gap(path, number, row) for number, row in enumerate(rows, 1)]
    return sorted(((start + shift_ms, end + shift_ms) for start, end in gaps), key=_end_of)


def _gap(path: Path, number: int, row: dict[str, str]) -> Span:
    try:
        start, end = (float(row[name]) for name in GAP_COLUMNS)
    except (KeyError, TypeError, ValueError):
        start = end = math.nan
    if not 0 < end - start <= MAX_GAP_MS:
        raise TapeError(
            f"{path}: row {number}: {row!r} is no gap: from and to in epoch ms, at most 24 h"
        )
    return start, end


def _end_of(gap: Span) -> float:
    return gap[1]
