"""What may be told of one ticker: from what was written, when it came, and when ticks ran."""

from collections import Counter
from collections.abc import Iterable, Iterator

from app.analysis.records import Quote, Record
from tests.reference.metrics import metrics
from tests.reference.past import Past, ceil_second
from tests.reference.scales import Sizes
from tests.system.mixtures import Feed, Written

SECOND_MS = 1000
LATE_ENTERS_MS = 2_000
AHEAD_MS = 5_000


class Ledger:
    """One ticker's records, sorted by what became of them.

    `in_time` were there when their second was folded; `entered` came up to 2 s behind the fold,
    and are in the windows; `lost` came even later, and are in no number.
    """

    def __init__(self, feed: Feed) -> None:
        self.ticker = feed.ticker
        self.waiting = sorted(feed.written, key=lambda one: one.arrives_ms)
        self.arrived: list[Written] = []
        self.in_time: list[Written] = []
        self.entered: list[Written] = []
        self.lost: list[Written] = []
        self.as_of = 0
        self.ticked_from_ms = 0
        """When the first tick ran."""
        self.lags: list[tuple[float, int]] = []
        """When a record was there for a tick, and by how many ticks it had missed its own."""
        self._unread: list[Written] = []
        self._unseen: list[Written] = []

    def arrive(self, now_ms: float) -> list[Written]:
        """Return what has come since the last time."""
        came = []
        while self.waiting and self.waiting[0].arrives_ms <= now_ms:
            came.append(self.waiting.pop(0))
        self.arrived += came
        self._unread += [one for one in came if one.is_stamped_in_ms]
        self._unseen += [one for one in came if one.is_stamped_in_ms]
        return came

    def tick(self, nominal_ms: int, as_of: int) -> None:
        """Note what a tick that was due for `nominal_ms` has published its results as of."""
        seen = [one for one in self._unseen if one.score <= nominal_ms]
        self._unseen = [one for one in self._unseen if one.score > nominal_ms]
        self.lags += [
            (nominal_ms, max(0, nominal_ms - ceil_second(one.score)) // 1000) for one in seen
        ]
        if as_of <= self.as_of:
            return
        self.ticked_from_ms = self.ticked_from_ms or nominal_ms
        enters_after = self._enters_after()
        for one in self._unread:
            if one.score > as_of:
                continue
            if one.score > self.as_of or not self.as_of:
                self.in_time.append(one)
            elif one.score > enters_after:
                self.entered.append(one)
            else:
                self.lost.append(one)
        self._unread = [one for one in self._unread if one.score > as_of]
        self.as_of = as_of

    def _enters_after(self) -> float:
        """Return after which stamp late records enter: not before the first second with any."""
        usable = [one.score for one in self.in_time if one.record is not None]
        first = ceil_second(min(usable)) - SECOND_MS if usable else self.as_of
        return max(first, self.as_of - LATE_ENTERS_MS)

    @property
    def late(self) -> list[Written]:
        """Return what came behind the fold."""
        return [*self.entered, *self.lost]

    @property
    def folded(self) -> list[Written]:
        """Return what is in the windows."""
        return [*self.in_time, *self.entered]

    def past(self) -> Past:
        """Return the stream of usable records that the windows are made of."""
        return Past(stream_of(self.folded))

    def metrics(self, past: Past, seconds: int) -> dict[str, float | int | str]:
        """Return a window's numbers by the plain definitions."""
        sizes = Sizes(Past(stream_of(self.in_time)))
        return metrics(past, sizes, self.as_of, seconds)

    def quotes_after_fold(self, now_ms: float) -> Iterator[float]:
        """Yield the stamps of usable quotes that came and are not folded yet."""
        for one in self.arrived:
            if isinstance(one.record, Quote) and self.as_of < one.score <= now_ms + AHEAD_MS:
                yield one.score

    def has_usable_quote(self) -> bool:
        """Return whether some usable quote has come."""
        return any(isinstance(one.record, Quote) for one in self.arrived)


def stream_of(written: Iterable[Written]) -> list[Record]:
    """Return usable records in stream order, each once."""
    usable = [(one.record, one) for one in written if one.record is not None]
    # At an equal stamp, prints without a number come first, in their set's order.
    usable.sort(key=lambda it: (it[0].stamp, it[0].seq, it[1].kind == "quotes", it[1].member))
    seen: set[tuple[float, int]] = set()
    records: list[Record] = []
    for record, _ in usable:
        name = (record.stamp, record.seq)
        if record.seq < 0 or name not in seen:
            records.append(record)
        seen.add(name)
    return records


def counts_of(written: Iterable[Written]) -> Counter[str]:
    """Count refusals by reason and oddities by name."""
    found: Counter[str] = Counter()
    for one in written:
        found.update([one.reason] if one.reason else one.oddities)
    return found
