"""What the writer of the history tells of itself, for whoever has no history at hand: numbers.

A key of its own, since the writer is one process, and status and metrics read no files.
"""

from collections.abc import Mapping
from typing import Any, Final

import msgspec
import redis

from app.storage import keys
from app.storage.published import is_epoch_ms, read_number

PROBLEMS: Final = {
    "missing": "its folder is missing",
    "read_only": "its folder can't be written",
    "disk_full": "the disk is full",
    "io_error": "its folder can't be used",
    "over_size": "one day takes more than ORDERFLOW_HISTORY_MB",
    "newer_file": "a file is of a newer version, and left alone",
}
"""What keeps the history from being written, by name."""
GONE_MS: Final = 60_000
"""A writer that has said nothing for this long is gone."""


class HistoryReport(msgspec.Struct, kw_only=True, frozen=True):
    """The newest report; times in epoch ms, totals since the writer began.

    `problem_since` is 0 without a problem, `newest_ms` the end of the newest second written.
    """

    alive_at: float = 0.0
    problem: str = ""
    problem_since: float = 0.0
    newest_ms: float = 0.0
    tickers: int = 0
    bytes: int = 0
    seconds: int = 0
    events: int = 0
    lost_seconds: float = 0.0
    lost_events: int = 0
    set_aside: int = 0
    removed_days: int = 0

    def is_gone(self, now_ms: float) -> bool:
        """Return whether the writer has given no sign of life for too long."""
        return now_ms - self.alive_at > GONE_MS


def write_report(client: redis.Redis, report: HistoryReport) -> None:
    """Store a report. Raises redis-py's errors."""
    store: Any = client
    pipe = store.pipeline(transaction=False)
    pipe.hset(keys.HISTORY, mapping=msgspec.structs.asdict(report))
    pipe.expire(keys.HISTORY, keys.HISTORY_LIFETIME_SECONDS)
    pipe.execute()


def read_report(client: redis.Redis) -> HistoryReport | None:
    """Return the newest report, None where no history is written. Raises redis-py's errors."""
    store: Any = client
    return report_of(store.hgetall(keys.HISTORY))


def report_of(fields: Mapping[bytes, bytes]) -> HistoryReport | None:
    """Take a report's numbers and known words; None where it tells no time."""
    found: dict[str, Any] = {}
    for name in HistoryReport.__struct_fields__:
        value = read_number(fields.get(name.encode()))
        if value is not None and value >= 0:
            found[name] = value
    if not is_epoch_ms(found.get("alive_at", 0)):
        return None
    problem = fields.get(b"problem", b"").decode("ascii", "replace")
    found["problem"] = problem if problem in PROBLEMS else ""
    return HistoryReport(**found)
