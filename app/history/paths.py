"""Name the files of the history: one a kind, session date and ticker.

    DIR/seconds/date=2026-11-30/SPY.parquet
    DIR/events/date=2026-11-30/SPY.parquet
    DIR/sessions/date=2026-11-30/SPY.parquet

Folders are named as Hive partitions are, so that pandas, polars and DuckDB read a `date` from them.
"""

import re
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Final, Literal
from urllib.parse import unquote

from app.core.tickers import file_name_of, is_ticker

Kind = Literal["seconds", "events", "sessions", "answers"]
KINDS: Final[tuple[Kind, ...]] = ("seconds", "events", "sessions")
"""Kinds of files that there are of each ticker."""
ANSWERS: Final[Kind] = "answers"
SUFFIX: Final = ".parquet"
UNFINISHED_SUFFIX: Final = ".unfinished"
UNREADABLE_SUFFIX: Final = ".unreadable"
_DATE_FOLDER = re.compile(r"date=([0-9]{4}-[0-9]{2}-[0-9]{2})")


def file_path(folder: Path, kind: Kind, day: date, ticker: str) -> Path:
    """Return where a ticker's file of a kind and session date is.

    >>> str(file_path(Path("h"), "seconds", date(2026, 11, 30), "BTC/USD"))
    'h/seconds/date=2026-11-30/BTC%2FUSD.parquet'
    """
    return date_folder(folder, kind, day) / (_stem_of(ticker) + SUFFIX)


def unfinished_path(path: Path) -> Path:
    """Return the name of a file until it is whole; it stays where a writer was killed."""
    return path.with_name(f".{path.name}{UNFINISHED_SUFFIX}")


def unreadable_path(path: Path) -> Path:
    """Return the name to which a file is moved that can't be read."""
    return path.with_name(f".{path.name}{UNREADABLE_SUFFIX}")


def date_folder(folder: Path, kind: Kind, day: date) -> Path:
    """Return the folder of a kind's files of one session date."""
    return folder / kind / f"date={day.isoformat()}"


def ticker_of(path: Path) -> str | None:
    """Return the ticker that a file is named for, None where it is none of the history's.

    >>> ticker_of(Path("BTC%2FUSD.parquet")), ticker_of(Path("notes.txt"))
    ('BTC/USD', None)
    """
    if path.suffix != SUFFIX:
        return None
    ticker = unquote(path.stem)
    return ticker if is_ticker(ticker) and _stem_of(ticker) == path.stem else None


def _stem_of(ticker: str) -> str:
    """Return a ticker percent-encoded; readers of folders leave out names that begin with a dot."""
    name = file_name_of(ticker)
    return f"%2E{name[1:]}" if name.startswith(".") else name


def kept_dates(folder: Path, kind: Kind = "seconds") -> list[date]:
    """Return the session dates that have a folder, in order.

    Raises `OSError` where the history can't be listed.
    """
    home = folder / kind
    if not home.is_dir():
        return []
    return sorted(day for child in home.iterdir() if (day := _date_of(child)) is not None)


def dates_of_ticker(folder: Path, kind: Kind, ticker: str) -> list[date]:
    """Return the session dates of which a ticker has a file, in order."""
    return [
        day for day in kept_dates(folder, kind) if file_path(folder, kind, day, ticker).exists()
    ]


def tickers_of_date(folder: Path, kind: Kind, day: date) -> Iterator[str]:
    """Yield the tickers that have a file of a session date, in order."""
    home = date_folder(folder, kind, day)
    for path in sorted(home.iterdir()) if home.is_dir() else ():
        ticker = ticker_of(path)
        if ticker is not None:
            yield ticker


def _date_of(path: Path) -> date | None:
    found = _DATE_FOLDER.fullmatch(path.name)
    try:
        return date.fromisoformat(found[1]) if found else None
    except ValueError:
        return None
