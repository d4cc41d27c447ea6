"""Names under the broker's prefixes that are no tickers: whoever wrote them has to be told."""

from typing import Any

import redis

from app.storage.active_tickers import SCAN_COUNT
from app.storage.keys import PREFIX, Keys

MAX_SHOWN = 40


def find_foreign_names(client: redis.Redis, names: Keys) -> list[str]:
    """Return the quotes and trades keys that name no ticker, sorted, as printable text."""
    # `Any`: redis-py's return types include an awaitable.
    scanned: Any = client
    return sorted({
        _printable(key)
        for kind in ("quotes", "trades")
        for key in scanned.scan_iter(f"{PREFIX}{kind}:*", count=SCAN_COUNT)
        if names.ticker_of_records(key.decode("ascii", "replace")) is None
    })  # fmt: skip


def _printable(key: bytes) -> str:
    """Return a key in quotes and in printable ASCII; of a long name only the length.

    A long name could be a text for whoever, or whatever model, reads the status.

    >>> _printable(b"orderflow:quotes:A B"), _printable(b"orderflow:quotes:" + b"x" * 90)
    ("'orderflow:quotes:A B'", 'orderflow:quotes: and 90 characters')
    """
    prefix, kind, name = key.split(b":", 2)
    if len(name) > MAX_SHOWN:
        return f"{(prefix + b':' + kind).decode()}: and {len(name)} characters"
    return ascii(key.decode("utf-8", "backslashreplace"))
