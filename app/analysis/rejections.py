"""Remember which of a ticker's newest records were rejected: those since the newest usable one."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from app.analysis.records import Fault, Quote, Record, Trade


@dataclass(slots=True)
class Rejections:
    """Rejected records of one kind, all stamped after the newest usable record of that kind.

    `since` is the stamp of the first in ms, `reasons` counts by reason; 0 and empty without any.
    """

    since: float = 0.0
    count: int = 0
    reasons: dict[str, int] = field(default_factory=dict)

    def add_newer(self, rejected: Sequence[Fault], newest_usable: float) -> None:
        """Add records stamped after all earlier ones, with the newest usable one among them.

        `newest_usable` is 0 where there is none.
        """
        if newest_usable:
            self._clear()
        for stamp, reason in rejected:
            if stamp > newest_usable:
                self._add(stamp, reason)

    def add_late(self, rejected: Sequence[Fault], newest_usable: float) -> None:
        """Add records read again together with late ones, all records of the last seconds.

        Rejected records that came late are missed where others were rejected before: the count is
        then too small.
        """
        if not self.count or newest_usable >= self.since:
            self._clear()
            self.add_newer(rejected, newest_usable)

    def _clear(self) -> None:
        self.since, self.count, self.reasons = 0.0, 0, {}

    def _add(self, stamp: float, reason: str) -> None:
        if not self.count or stamp < self.since:
            self.since = stamp
        self.count += 1
        self.reasons[reason] = self.reasons.get(reason, 0) + 1


def newest_quote_stamp(records: Iterable[Record]) -> float:
    """Return the stamp of the newest quote, 0 where there is none."""
    stamp = 0.0
    for record in records:
        if isinstance(record, Quote):
            stamp = record.stamp
    return stamp


def newest_trade_stamp(records: Iterable[Record]) -> float:
    """Return the stamp of the newest trade, 0 where there is none."""
    stamp = 0.0
    for record in records:
        if isinstance(record, Trade):
            stamp = record.stamp
    return stamp
