"""Keep the history within its bounds: so many days, and so many bytes; the oldest go first."""

import shutil
from datetime import date, timedelta
from pathlib import Path
from typing import NamedTuple

from app.history.paths import ANSWERS, KINDS, date_folder, kept_dates


class Bounds(NamedTuple):
    """How many days and bytes are kept."""

    days: int
    max_bytes: int


class Removed(NamedTuple):
    """The session dates that were removed, and how many bytes are left."""

    dates: list[date]
    bytes: int


def keep_within(folder: Path, bounds: Bounds, today: date) -> Removed:
    """Remove the session dates beyond the bounds; the newest date stays, whatever its size.

    Days count from the newest date, if that is before `today`: a clock that is ahead removes none.
    Raises `OSError`.
    """
    sizes = {day: _bytes_of(folder, day) for day in _all_dates(folder)}
    total = sum(sizes.values())
    removed: list[date] = []
    oldest = min(today, max(sizes, default=today)) - timedelta(days=bounds.days)
    for day in sorted(sizes)[:-1]:
        if day > oldest and total <= bounds.max_bytes:
            break
        for kind in (*KINDS, ANSWERS):
            home = date_folder(folder, kind, day)
            if home.exists():
                shutil.rmtree(home)
        total -= sizes[day]
        removed.append(day)
    return Removed(removed, total)


def _all_dates(folder: Path) -> set[date]:
    return {day for kind in (*KINDS, ANSWERS) for day in kept_dates(folder, kind)}


def _bytes_of(folder: Path, day: date) -> int:
    total = 0
    for kind in (*KINDS, ANSWERS):
        home = date_folder(folder, kind, day)
        for file in home.iterdir() if home.is_dir() else ():
            try:
                total += file.stat().st_size
            except FileNotFoundError:  # renamed meanwhile
                continue
    return total
