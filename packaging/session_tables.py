"""Write the sessions of all calendars of exchange_calendars to `app/core/sessions.json`.

    python packaging/session_tables.py

The processes read this file: the library itself needs pandas, 80 MB and a second and a half of each
worker's start (docs/decisions/0016-calendars.md). `tests/contract/test_session_tables.py` tells
when the library that is installed knows other sessions.
"""

import base64
import json
import zlib
from array import array
from pathlib import Path
from typing import Any

FIRST, LAST = "1990-01-01", "2036-12-31"
CONTINUOUS = "24/7"
FILE = Path(__file__).resolve().parent.parent / "app" / "core" / "sessions.json"
MINUTE_NS = 60 * 10**9


def sessions_of(name: str) -> tuple[list[int], list[int]]:
    """Return the opens and closes of a calendar, in minutes since the epoch."""
    import exchange_calendars as calendars  # noqa: PLC0415 - a second and a half
    import pandas as pd  # noqa: PLC0415

    kind = calendars.calendar_utils._default_calendar_factories[name]  # noqa: SLF001
    first, last = pd.Timestamp(FIRST), pd.Timestamp(LAST)
    lowest, highest = kind.bound_min(), kind.bound_max()
    first = first if lowest is None else max(first, lowest)
    last = last if highest is None else min(last, highest)
    schedule: Any = calendars.get_calendar(name, start=first, end=last).schedule
    minutes = [
        (schedule[column].astype("datetime64[ns, UTC]").astype("int64") // MINUTE_NS).tolist()
        for column in ("open", "close")
    ]
    return minutes[0], minutes[1]


def packed(opens: list[int], closes: list[int]) -> str:
    """Pack sessions: steps from open to open, then lengths, as 32-bit integers, compressed."""
    steps = [later - earlier for earlier, later in zip([0, *opens], opens, strict=False)]
    lengths = [close - start for start, close in zip(opens, closes, strict=True)]
    numbers = array("i", steps + lengths)
    return base64.b64encode(zlib.compress(numbers.tobytes(), 9)).decode()


def all_tables() -> dict[str, str]:
    """Return the packed sessions of every calendar by name; 24/7 has none.

    Calendars that the library can't compute so far back are left out: with pandas 3.1, those with
    an Orthodox Easter, and Tel Aviv's.
    """
    import exchange_calendars as calendars  # noqa: PLC0415

    tables = {}
    for name in sorted(calendars.get_calendar_names(include_aliases=False)):
        if name != CONTINUOUS:
            try:
                tables[name] = packed(*sessions_of(name))
            except (NotImplementedError, ValueError) as error:
                print(f"left out: {name}: {str(error)[:60]}")
    return tables


if __name__ == "__main__":
    FILE.write_text(json.dumps(all_tables(), indent=1) + "\n", encoding="utf-8")
    print(f"{FILE}: {FILE.stat().st_size} bytes")
