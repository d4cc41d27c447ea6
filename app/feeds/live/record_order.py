"""Number a ticker's records in the order of their arrival, and leave out those already had."""

from array import array
from collections import Counter

import msgspec

from app.feeds.live.venue import Update
from app.feeds.publish import QuoteMember, TradeMember

REMEMBERED = 256
"""How many records of a ticker and kind are known again when they come once more."""

_NOWHERE = float("-inf")


class _Course:
    """The newest records of one kind: which they were, and how far they had come.

    Numbers in arrays: as objects those of 50 tickers would take 5 MB.
    """

    def __init__(self) -> None:
        self.reached = _NOWHERE
        self._identities, self._positions = array("q"), array("d")
        self._oldest = 0

    def is_new(self, identity: object, position: float) -> bool | None:
        """Note a record and tell whether it is new; None if it is, behind others already had."""
        number = hash(identity)
        is_ahead = position >= self.reached
        if position <= self.reached and number in self._identities:
            return False
        if not is_ahead and self._is_full and position < self._positions[self._oldest]:
            return False
        self._remember(number, position)
        self.reached = max(self.reached, position)
        return True if is_ahead else None

    @property
    def _is_full(self) -> bool:
        return len(self._positions) == REMEMBERED

    def _remember(self, number: int, position: float) -> None:
        if not self._is_full:
            self._identities.append(number)
            self._positions.append(position)
            return
        self._identities[self._oldest], self._positions[self._oldest] = number, position
        self._oldest = (self._oldest + 1) % REMEMBERED


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
