"""One ticker for people who watch: what an answer says, and the seconds to draw it from.

The numbers are those of the answer about the last five minutes at the same `as_of`; its picture is
of the last quarter of an hour. Whoever asks again says since when, and gets what is new.
"""

from collections.abc import Iterable, Mapping, Sequence
from itertools import accumulate
from typing import Any, Final

import msgspec

from app.analysis.bars import SECOND_MS
from app.analysis.metric_table import MID
from app.analysis.price_units import FLOAT_UNITS_PER_ONE, published_price
from app.answers.event_facts import event_facts
from app.answers.event_selection import by_rarity, select_events
from app.answers.level_selection import near_levels
from app.answers.reader import Reader
from app.answers.schema import Number, rounded, short, whole
from app.answers.series import measured
from app.answers.snapshot import TickerSnapshot, WatchedTicker
from app.answers.ticker_answer import build_answer
from app.answers.ticker_facts import level_facts, mid_of
from app.answers.ticker_read import SecondTable
from app.storage.prints import AGGRESSOR_WORDS, PrintRange
from app.storage.published import EventRecord, Value

HISTORY_SECONDS: Final = 300
"""The history of the answer: that of a question that names none."""
DRAWN_SECONDS: Final = 900
"""How far back the picture goes."""
REPEATED_MS: Final = 3000
"""Late records change seconds up to 2 s old: so many before `since` are told again."""
SESSION_MS: Final = 6000
"""The session is published every 5 s: where it stood then is known so much earlier."""
MAX_EVENTS_DRAWN: Final = 150
MAX_EVENTS_LISTED: Final = 40
MAX_LEVELS_A_SIDE: Final = 10
SECOND_COLUMNS: Final = (
    *("bid_price", "ask_price", MID, "bid_size", "ask_size"),
    *("ofi", "quote_count", "buy_volume", "sell_volume", "unsigned_volume"),
)
"""The metrics of each second."""
PRINT_COLUMNS: Final = ("end", "price", "size", "side", "count")
_SIZE_DIGITS: Final = 9
_REMAINDER: Final = 1e-9
"""Of the session's volume: sums of fractions whose exact sum is 0 are not farther from it."""


PrintRow = tuple[int, Number, Number, str | None, int]
"""The end of a second, a price, the size printed at it, the aggressor, and how many prints."""


class SecondRows(msgspec.Struct, frozen=True):
    """Columns of equal length; value i is of the second that ends at `first_end` + i s.

    Beside the metrics of each second, the session's `cvd` and `session_vwap` at its end.
    """

    first_end: int
    columns: dict[str, list[Value | None]]
    step_seconds: int = 1


class PrintRows(msgspec.Struct, frozen=True, kw_only=True):
    """Sizes printed after `from`, by second, price and side; before `complete_from` some miss."""

    from_ms: int = msgspec.field(name="from")
    complete_from: int
    columns: tuple[str, ...] = PRINT_COLUMNS
    rows: list[PrintRow]


class LiveTicker(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """A ticker at `as_of`; the rows are of the time since the asked moment.

    Of an earlier moment, `session` is what can be known of it then, and `note` says what can't be.
    """

    ticker: str
    as_of: int | None = None
    answer: dict[str, Any]
    rows: SecondRows | None = None
    prints: PrintRows | None = None
    events: list[dict[str, Any]] = []
    order: list[str] = []
    levels: list[dict[str, Any]] = []
    session: dict[str, Any] | None = None
    note: str | None = None


def live_ticker(reader: Reader, typed_ticker: str, since_ms: int | None = None) -> LiveTicker:
    """Return a ticker now, with its rows and events since a moment, or of the last 15 min.

    Raises `BadTicker`, `NoAnswer` or `StoreUnavailable`.
    """
    from_ms = None if since_ms is None else since_ms - REPEATED_MS
    read_from_ms = None if from_ms is None else from_ms - SESSION_MS
    found = reader.watched(typed_ticker, HISTORY_SECONDS, read_from_ms, DRAWN_SECONDS)
    snapshot = found.snapshot
    if since_ms is not None and snapshot.as_of_ms is not None and snapshot.as_of_ms < since_ms:
        # A clock that had run ahead was put right: what came after is not true.
        return live_ticker(reader, typed_ticker)
    is_whole = from_ms is None or found.from_ms != read_from_ms
    told_from_ms = found.from_ms if is_whole else from_ms
    listed = _listed_events(snapshot)
    return LiveTicker(
        ticker=snapshot.ticker,
        as_of=snapshot.as_of_ms,
        answer=build_answer(snapshot).as_json(),
        rows=_second_rows(found, told_from_ms),
        prints=_print_rows(reader, found, told_from_ms),
        events=event_fields(_drawn_events(found, listed, is_whole=is_whole)),
        order=[event.id for event in listed],
        levels=_levels(snapshot),
    )


def _second_rows(found: WatchedTicker, told_from_ms: int | None) -> SecondRows | None:
    table, as_of_ms, from_ms = found.seconds, found.snapshot.as_of_ms, found.from_ms
    if table is None or as_of_ms is None or from_ms is None or told_from_ms is None:
        return None
    ends = second_ends(from_ms, as_of_ms)
    columns = second_columns(table, ends, found.snapshot.session)
    first_end = _first_end(told_from_ms)
    not_told = sum(end < first_end for end in ends)
    return SecondRows(first_end, {name: them[not_told:] for name, them in columns.items()})


def second_columns(
    table: SecondTable, ends: Sequence[int], session: Mapping[str, Value]
) -> dict[str, list[Value | None]]:
    """Return the metrics of each second, and where the session stood at its end."""
    seconds = [measured(table, end, 1) for end in ends]
    columns: dict[str, list[Value | None]] = {
        name: [_rounded(name, metrics.get(name)) for metrics in seconds] for name in SECOND_COLUMNS
    }
    return columns | _session_columns(session, ends, seconds)


def second_ends(from_ms: int, to_ms: int) -> range:
    """Return the ends of the whole seconds after a moment, up to another."""
    return range(_first_end(from_ms), to_ms + 1, SECOND_MS)


def _first_end(from_ms: int) -> int:
    """Return the end of the first whole second after a moment."""
    return from_ms - from_ms % SECOND_MS + SECOND_MS


def _session_columns(
    session: Mapping[str, Value], ends: Sequence[int], seconds: Sequence[Mapping[str, Value]]
) -> dict[str, list[Value | None]]:
    """Return the session's CVD and VWAP at the end of each second.

    The session is published every few seconds: from where it stood then, what each second traded is
    added from there on, and taken away before, as far as the session was seen.
    """
    names = ("cvd", "volume", "vwap", "as_of")
    cvd, volume, vwap, known_at = (_number(session.get(name)) for name in names)
    began = _number(session.get("since")) or _number(session.get("opened_at"))
    place = _place(ends, known_at)
    if began is None or cvd is None or volume is None or vwap is None or place is None:
        return {name: [None] * len(ends) for name in ("cvd", "session_vwap")}
    least = volume * _REMAINDER
    seconds = _of_session(session, ends, seconds)
    cvds = _levelled([_number(it.get("signed_volume")) or 0.0 for it in seconds], place, cvd)
    volumes = _levelled([_traded(it) for it in seconds], place, volume)
    notionals = _levelled([_notional(it) for it in seconds], place, volume * vwap)
    is_known = [end > began and traded > least for end, traded in zip(ends, volumes, strict=True)]
    return {
        "cvd": [
            short(it if abs(it) > least else 0.0, _SIZE_DIGITS) if known else None
            for it, known in zip(cvds, is_known, strict=True)
        ],
        "session_vwap": [
            rounded("vwap", notional / traded) if known else None
            for notional, traded, known in zip(notionals, volumes, is_known, strict=True)
        ],
    }


def _of_session(
    session: Mapping[str, Value], ends: Sequence[int], seconds: Sequence[Mapping[str, Value]]
) -> list[Mapping[str, Value]]:
    """Return seconds without what traded before the open or after the close: it counts nowhere."""
    opened, closes = _number(session.get("opened_at")), _number(session.get("closes_at"))
    return [
        it if (opened or 0.0) < end and (closes is None or end <= closes) else {}
        for end, it in zip(ends, seconds, strict=True)
    ]


def _place(ends: Sequence[int], at_ms: float | None) -> int | None:
    """Return how many seconds end up to a moment, None where it lies outside them."""
    if at_ms is None or not ends or not ends[0] - SECOND_MS <= at_ms <= ends[-1]:
        return None
    return sum(end <= at_ms for end in ends)


def _levelled(steps: Sequence[float], place: int, level: float) -> list[float]:
    """Return the sums of steps, such that after `place` of them they stand at `level`."""
    sums = list(accumulate(steps, initial=0.0))
    return [level + it - sums[place] for it in sums[1:]]


def _traded(metrics: Mapping[str, Value]) -> float:
    names = ("buy_volume", "sell_volume", "unsigned_volume")
    return sum(_number(metrics.get(name)) or 0.0 for name in names)


def _notional(metrics: Mapping[str, Value]) -> float:
    return _traded(metrics) * (_number(metrics.get("vwap")) or 0.0)


def _print_rows(reader: Reader, found: WatchedTicker, from_ms: int | None) -> PrintRows | None:
    as_of_ms = found.snapshot.as_of_ms
    if as_of_ms is None or from_ms is None:
        return None
    # Whole seconds: a reader replaces all prints of a second that it is told again.
    from_ms -= from_ms % SECOND_MS
    prints = reader.prints(found.snapshot.ticker, from_ms, as_of_ms)
    return PrintRows(
        from_ms=from_ms,
        complete_from=round(prints.complete_from_ms),
        rows=summed_prints(prints),
    )


def summed_prints(found: PrintRange) -> list[PrintRow]:
    """Sum the prints of each second by price and side, in the order of their first ones."""
    sums: dict[tuple[int, int, int], list[float]] = {}
    for it in found.prints:
        end = -(-int(-(-it.stamp // 1)) // SECOND_MS) * SECOND_MS
        total = sums.setdefault((end, it.price, it.aggressor), [0.0, 0])
        total[0] += it.size
        total[1] += 1
    units_per_one = FLOAT_UNITS_PER_ONE[found.digits]
    return [
        (
            end,
            whole(published_price(price, units_per_one)),
            short(size, _SIZE_DIGITS),
            AGGRESSOR_WORDS.get(aggressor),
            int(count),
        )
        for (end, price, aggressor), (size, count) in sums.items()
    ]


def _listed_events(snapshot: TickerSnapshot) -> Sequence[EventRecord]:
    """Return the events of the answer's history in the answer's order, more than it shows."""
    return select_events(
        snapshot.events or (), snapshot.bounds, most=MAX_EVENTS_LISTED, has_old=True
    ).shown


def _drawn_events(
    found: WatchedTicker, listed: Iterable[EventRecord], *, is_whole: bool
) -> list[EventRecord]:
    """Return the events to draw: of the whole time the rarest, else those that changed."""
    if not is_whole:
        from_ms = found.from_ms or 0
        return [event for event in found.events if _changed_at(event) > from_ms]
    end_ms = found.snapshot.bounds.end_ms
    rarest = by_rarity(found.events, end_ms)[:MAX_EVENTS_DRAWN]
    return [*{event.id: event for event in (*rarest, *listed)}.values()]


def event_fields(events: Iterable[EventRecord]) -> list[dict[str, Any]]:
    """Return events as answers have them, with what is known of each."""
    return [event_facts(it).model_dump(mode="json", exclude_defaults=True) for it in events]


def _changed_at(event: EventRecord) -> float:
    return max(event.noticed_at, event.updated_at, event.closed_at or 0.0)


def _levels(snapshot: TickerSnapshot) -> list[dict[str, Any]]:
    mid, end_ms = mid_of(snapshot.metrics), snapshot.bounds.end_ms
    levels = near_levels(snapshot.levels, mid, end_ms, MAX_LEVELS_A_SIDE, has_far=True)
    return [
        level_facts(level, mid, end_ms).model_dump(mode="json", exclude_none=True)
        for level in levels
    ]


def _rounded(name: str, value: Value | None) -> Value | None:
    return None if value is None else rounded(name, value)


def _number(value: Value | None) -> float | None:
    return float(value) if isinstance(value, (int, float)) else None
