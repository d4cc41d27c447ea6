"""Find what is new of some tickers and meets a condition, each event and number once."""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from app.storage.published import EventRecord, Number
from app.waiting.condition import Condition, RankCondition
from app.waiting.looks import ALL_KEPT, TickerLook
from app.waiting.seen_ticks import SeenTicks

MAX_MATCHES = 10


class TickerCursor(NamedTuple):
    """How far a ticker was looked at.

    `met` names what then met the condition and may still change: ids of events, and conditions on
    ranks as text. It is None where only the moment is known; what was noticed by then is then
    taken as known, whatever it grew to. `past` is where its ranks come from, packed, of a wait that
    ended while one met its condition.
    """

    until_ms: int
    met: frozenset[str] | None = None
    past: bytes = b""


class NumberMatch(NamedTuple):
    """A number whose rank came to meet a condition."""

    condition: RankCondition
    rank: float
    value: Number | None
    as_of_ms: int


class Matches(NamedTuple):
    """What newly met a condition of one ticker, in the order in which it was noticed."""

    ticker: str
    events: Sequence[EventRecord] = ()
    numbers: Sequence[NumberMatch] = ()

    def __bool__(self) -> bool:
        return bool(self.events or self.numbers)


class Watch:
    """A condition on some tickers, and how far each was looked at.

    A ticker without a cursor is watched from its first look on: its events of before are known,
    and a number that meets the condition then is new.
    """

    def __init__(
        self,
        condition: Condition,
        tickers: Iterable[str],
        cursors: Mapping[str, TickerCursor] | None = None,
    ) -> None:
        self.condition = condition
        self.tickers = tuple(tickers)
        self.cursors = {name: one for name, one in (cursors or {}).items() if name in self.tickers}
        self._seen = SeenTicks()
        self._more: dict[str, bool] = {}
        """Whether the newest look held more that is new than was taken."""
        self.without_rank: dict[str, list[str]] = {}
        """By ticker: the metrics that are waited for, and had no rank in the newest look."""

    def oldest_ms(self, ticker: str, now_ms: float) -> float:
        """Return the opening from which on events have to be read for the next look."""
        has_more = self._more.get(ticker, False)
        return ALL_KEPT if has_more else self._seen.oldest_ms(ticker, now_ms)

    def take(self, look: TickerLook, now_ms: float, most: int = MAX_MATCHES) -> Matches:
        """Return what is new in a look, `most` events at most; the next look finds the others."""
        as_of_ms = look.as_of_ms
        if as_of_ms is None:
            return Matches(look.ticker)
        self._seen.note(look, now_ms)
        cursor = _usable(self.condition, look, self.cursors.get(look.ticker))
        self.without_rank[look.ticker] = [
            f"{one.metric} in {one.window}"
            for one in self.condition.ranks
            if one.metric not in look.ranks.get(one.window, {})
        ]
        numbers = [*_new_numbers(self.condition, look, as_of_ms, cursor)]
        new = sorted(_new_events(self.condition, look, cursor), key=_in_order)
        self._more[look.ticker] = len(new) > most
        self.cursors[look.ticker] = _after(self.condition, look, cursor, new[:most], len(new))
        return Matches(look.ticker, new[:most], numbers)


def _in_order(event: EventRecord) -> tuple[float, str]:
    return event.noticed_at, event.id


class _Cursor(NamedTuple):
    """A cursor whose `met` is known."""

    until_ms: int
    met: frozenset[str]


def _usable(condition: Condition, look: TickerLook, cursor: TickerCursor | None) -> _Cursor:
    as_of_ms = look.as_of_ms or 0
    # A moment of after the newest tick: nobody could know then what the next ones notice.
    until = as_of_ms if cursor is None else min(cursor.until_ms, as_of_ms)
    if cursor is not None and cursor.met is not None:
        return _Cursor(until, cursor.met)
    known = (
        event.id
        for event in look.events
        if event.noticed_at <= until and condition.is_met_by(event)
    )
    return _Cursor(until, frozenset(known))


def _new_events(condition: Condition, look: TickerLook, cursor: _Cursor) -> Iterable[EventRecord]:
    for event in look.events:
        has_changed = max(event.noticed_at, event.updated_at) > cursor.until_ms
        if has_changed and event.id not in cursor.met and condition.is_met_by(event):
            yield event


def _new_numbers(
    condition: Condition, look: TickerLook, as_of_ms: int, cursor: _Cursor
) -> Iterable[NumberMatch]:
    for one in condition.ranks:
        fact = look.ranks.get(one.window, {}).get(one.metric)
        if fact is not None and one.holds(fact.rank) and str(one) not in cursor.met:
            yield NumberMatch(one, fact.rank, fact.value, as_of_ms)


def _after(
    condition: Condition,
    look: TickerLook,
    cursor: _Cursor,
    told: Sequence[EventRecord],
    new: int,
) -> TickerCursor:
    """Return the cursor behind a look; before it, where new events are left for the next."""
    numbers = {
        str(one)
        for one in condition.ranks
        if (fact := look.ranks.get(one.window, {}).get(one.metric)) and one.holds(fact.rank)
    }
    if len(told) < new:
        kept = {name for name in cursor.met if _is_event_id(name)}
        met = kept | {event.id for event in told} | numbers
        return TickerCursor(cursor.until_ms, frozenset(met))
    as_of_ms = look.as_of_ms or 0
    lasting = {
        event.id
        for event in look.events
        if condition.is_met_by(event) and (event.status == "open" or event.updated_at > as_of_ms)
    }
    return TickerCursor(as_of_ms, frozenset(lasting | numbers))


def _is_event_id(name: str) -> bool:
    """Return whether a name in a cursor is an event's id, not a condition on a rank."""
    return " rank " not in name
