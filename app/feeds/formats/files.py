"""Read the CSV files of others, with one kind of error, and find the files that belong together."""

import re
import zlib
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from app.core.errors import TapeError


def read_csv(
    path: Path, columns: Sequence[str] | Sequence[int], *, has_header: bool = True
) -> pd.DataFrame:
    """Read some columns of a CSV file, by name or place.

    Raises `TapeError`.
    """
    try:
        return pd.read_csv(
            path,
            usecols=list(columns),
            header=0 if has_header else None,
            keep_default_na=False,
            na_values=[""],
            low_memory=False,
        )
    except (OSError, EOFError, zlib.error, UnicodeDecodeError, ValueError) as error:
        raise TapeError(f"{path}: can't be read as CSV: {error}") from error


def replaced(path: Path, pattern: re.Pattern[str], by: str, example: str) -> Path:
    """Return the path of which a part of the name is replaced.

    Raises `TapeError` where the name has no such part.
    """
    name, count = pattern.subn(by, path.name)
    if not count:
        raise TapeError(f"{path}: such a tape's name is like {example}")
    return path.with_name(name)
