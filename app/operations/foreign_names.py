"""Names under the broker's prefixes that are no tickers: whoever wrote them has to be told."""

from typing import Any

import redis

from app.storage.active_tickers import SCAN_COUNT
from app.storage.keys import PREFIX, Keys

MAX_SHOWN = 70


def find_foreign_names(client: redis.Redis, names: Keys) -> list[str]:
    """Return the quotes and trades keys that name no ticker, sorted, as printable text."""
    # `Any`: redis-py's return types include an awaitable.
    scanned: Any = client
    return sorted({
        _printable(key)
        for kind in ("quotes", "trades")
        for key in scanned.scan_iter(f"{PREFIX}{kind}:*", count=SCAN_COUNT)
        if _names_no_ticker(key, kind, names)
    })  # fmt: skip


def _names_no_ticker(key: bytes, kind: str, names: Keys) -> bool:
    text = key.decode("ascii", "replace").replace(f":{kind}:", ":quotes:", 1)
    return names.ticker_of_quotes(text) is None


def _printable(key: bytes) -> str:
    """Return a key in quotes, in printable ASCII, and cut where it is very long.

    >>> _printable(b"orderflow:quotes:A B"), len(_printable(b"x" * 10**6))
    ("'orderflow:quotes:A B'", 75)
    """
    text = key[:MAX_SHOWN].decode("utf-8", "backslashreplace")
    return ascii(text) + ("..." if len(key) > MAX_SHOWN else "")
