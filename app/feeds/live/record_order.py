"""Number a ticker's records in the order of their arrival, and leave out those already had."""

from collections import Counter
from dataclasses import dataclass, field

import msgspec

from app.feeds.live.venue import Update
from app.feeds.publish import QuoteMember, TradeMember

REMEMBERED = 256
"""How many records of a ticker and kind are known again when they come once more."""

_NOWHERE = float("-inf")


@dataclass(slots=True)
class _Course:
    """The newest records of one kind: which they were, and how far they had come."""

    recent: dict[object, float] = field(default_factory=dict)
    reached: float = _NOWHERE

    def is_new(self, identity: object, position: float) -> bool | None:
        """Note a record and tell whether it is new; None if it is, behind others already had."""
        if identity in self.recent:
            return False
        if len(self.recent) == REMEMBERED and position < next(iter(self.recent.values())):
            return False
        is_ahead = position >= self.reached
        self.recent[identity] = position
        if len(self.recent) > REMEMBERED:
            del self.recent[next(iter(self.recent))]
        self.reached = max(self.reached, position)
        return True if is_ahead else None


class RecordOrder:
    """One ticker's `seq`, and its records that were had already.

    A record is known by what its venue tells it by, else by its stamp and content. One that has
    nothing of these is always new.
    """

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self._seq = 0
        self._quotes, self._trades = _Course(), _Course()

    def restart(self, now_ms: float) -> None:
        """Begin a new connection, before which records were lost.

        Numbers go on from its time in µs, which no earlier process can have reached. Its first
        quote stands whether or not it was had before; a trade that was had is not had again.
        """
        self._seq = max(self._seq, int(now_ms * 1000))
        self._quotes = _Course()
        self._trades.reached = _NOWHERE

    def accept(self, update: Update) -> bool:
        """Tell whether a record is new, and number it if it is."""
        record = update.record
        identity = _identity(update)
        if identity is None:
            self._number(record)
            return True
        course = self._trades if isinstance(record, TradeMember) else self._quotes
        is_new = course.is_new(identity, record.timestamp if update.order is None else update.order)
        if is_new is False:
            self.counts["repeated"] += 1
            return False
        if is_new is None:
            self.counts["out_of_order"] += 1
            if isinstance(record, QuoteMember) and not record.timestamp:
                return False  # stamped by its arrival it would stand as the newest
        self._number(record)
        return True

    def _number(self, record: QuoteMember | TradeMember) -> None:
        record.seq = self._seq
        self._seq += 1


def _identity(update: Update) -> object:
    """Return what a record is known by, None where nothing tells it from others."""
    if update.identity is not None:
        return update.identity
    if update.order is not None:
        return update.order
    return msgspec.structs.astuple(update.record) if update.record.timestamp else None
