"""Explain one event: its evidence, and a summary of the records before, during and after it."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any

from pydantic import Field

from app.analysis.bars import SECOND_MS, whole_second
from app.analysis.outcomes import HORIZON_SECONDS
from app.analysis.price_units import FLOAT_UNITS_PER_ONE, published_price
from app.analysis.records import BUY, SELL, UNSIGNED, Quote, Trade
from app.analysis.rolling_bars import RollingBars
from app.analysis.touch import SIDE_NAMES
from app.answers.durations import age, ago
from app.answers.event_facts import EventFacts, event_facts
from app.answers.history_argument import MIN_SECONDS
from app.answers.kept_past import KeptPast
from app.answers.reader import Reader
from app.answers.schema import (
    AnswerModel,
    EpochMs,
    Flags,
    Known,
    Number,
    Reply,
    flags_of,
    plain,
    seconds_of,
    short,
    short_size,
    significant,
    whole,
)
from app.answers.snapshot import TickerSnapshot
from app.answers.ticker_text import EVENT_COLUMNS, event_line, id_line, nothing_odd
from app.core import clock
from app.core.errors import BadQuestion, NoAnswer, UnknownEvent
from app.history.window_table import WindowTable
from app.storage.published import EventRecord, FollowedRecord, Value, read_counts

CONTEXT_MS = 10_000
KEPT_EVENT_NOTE = (
    "from the history: as it ended; its records are not kept, the times around it are whole "
    "seconds, with aggressors inferred where none was given"
)
ID_FORMAT = "an id looks like SPY~k3f9x2ab; analyze_order_flow_tool and scan_order_flow tell them"


class Span(AnswerModel):
    """The records of one part of the time around an event; prices at its two ends."""

    seconds: Number
    quotes: int
    trades: int
    bid_from: Known = None
    bid_to: Known = None
    ask_from: Known = None
    ask_to: Known = None
    bid_size_min: Known = None
    bid_size_max: Known = None
    ask_size_min: Known = None
    ask_size_max: Known = None
    by_buyers: Annotated[Known, Field(description="size printed by buying aggressors")] = None
    by_sellers: Known = None
    unsigned: Annotated[Known, Field(description="size without a given aggressor")] = None
    trade_low: Known = None
    trade_high: Known = None
    incomplete: Annotated[bool, Field(description="there were more records than were read")] = False

    def text_parts(self) -> Iterator[str]:
        """Yield the parts of the span's line of text."""
        yield f"{plain(self.seconds)} s"
        yield f"quotes {self.quotes}"
        yield f"trades {self.trades}"
        for name in SIDE_NAMES:
            low, high = getattr(self, f"{name}_from"), getattr(self, f"{name}_to")
            if low is not None or high is not None:
                yield f"{name} {_number_text(low)} to {_number_text(high)}"
            least, most = getattr(self, f"{name}_size_min"), getattr(self, f"{name}_size_max")
            if least is not None:
                yield f"{name} size {_number_text(least)}..{_number_text(most)}"
        for name in ("by_buyers", "by_sellers", "unsigned"):
            value = getattr(self, name)
            if value is not None:
                yield f"{name.replace('_', ' ')} {plain(value)}"
        if self.trade_low is not None:
            yield f"printed at {_number_text(self.trade_low)}..{_number_text(self.trade_high)}"
        if self.incomplete:
            yield "incomplete"


class Followed(AnswerModel):
    """What followed this ticker's earlier events of the type and side, by the mid's move."""

    seconds: Annotated[Number, Field(description="after the event was noticed")]
    n: int
    insufficient: Annotated[bool, Field(description="under 30 events or 10 spans of 5 min")] = False
    mean_bps: Known = None
    low_bps: Annotated[Known, Field(description="95 % interval of the mean")] = None
    high_bps: Known = None
    up: Annotated[Known, Field(description="share of the events")] = None
    unchanged: Known = None
    down: Known = None
    usual_bps: Annotated[Known, Field(description="mean of all seconds of these half hours")] = None
    usual_up: Known = None
    usual_down: Known = None

    def text(self) -> str:
        """Return these facts as a part of a line."""
        start = f"{plain(self.seconds)} s n {self.n}"
        if self.insufficient:
            return f"{start} insufficient"
        interval = f"{_number_text(self.low_bps)}..{_number_text(self.high_bps)}"
        return (
            f"{start} mean {_number_text(self.mean_bps)} bp ({interval}) "
            f"up {_number_text(self.up)} unchanged {_number_text(self.unchanged)} "
            f"down {_number_text(self.down)}, usual {_number_text(self.usual_bps)} bp "
            f"up {_number_text(self.usual_up)} down {_number_text(self.usual_down)}"
        )


class Explanation(Reply):
    """An event, what it was made from, and the records around it."""

    ticker: str
    now: Annotated[int, Field(description="epoch ms")]
    as_of: EpochMs = None
    age_seconds: Known = None
    newest_quote_age_seconds: Known = None
    flags: Flags = []
    note: str | None = None
    event: EventFacts
    noticed_at: EpochMs = None
    updated_at: EpochMs = None
    return_minutes: Annotated[
        Known,
        Field(description="mean minutes between events of its type with at least its statistic"),
    ] = None
    at_least: Annotated[
        bool | None, Field(description="true: none so far had as great a statistic")
    ] = None
    evidence: Annotated[
        dict[str, Number | str], Field(description="what the event was made from, as known now")
    ]
    followed: Annotated[
        list[Followed], Field(description="the past of this ticker, no forecast")
    ] = []
    earlier_sessions: Annotated[int | None, Field(description="kept, before the event's own")] = (
        None
    )
    followed_earlier: Annotated[list[Followed], Field(description="in these sessions")] = []
    moves_bps: Annotated[
        dict[str, Number], Field(description="mid's move so many seconds after it was noticed")
    ] = {}
    before: Annotated[Span, Field(description="the 10 s before it opened")]
    during: Span
    after: Annotated[Span | None, Field(description="up to 10 s after it closed")] = None
    covered_seconds: Annotated[Known, Field(description="of the last 10 s")] = None
    quality: Annotated[
        dict[str, int], Field(description="odd records of the last 10 s; of kept ones: around it")
    ] = {}

    def as_text(self) -> str:
        """Return the same facts as lines of text."""
        spans = (("before", self.before), ("during", self.during), ("after", self.after))
        odd = ", ".join(f"{name} {count}" for name, count in self.quality.items())
        return "\n".join(
            [
                ", ".join(self._heading()),
                *([f"note: {self.note}"] if self.note else []),
                f"{event_line(self.event, self.now)} {EVENT_COLUMNS}",
                ", ".join(self._times()),
                f"evidence: {', '.join(f'{n} {plain(v)}' for n, v in self.evidence.items())}",
                *(
                    [f"followed such events here: {'; '.join(it.text() for it in self.followed)}"]
                    if self.followed
                    else []
                ),
                *self._followed_earlier(),
                *([f"mid moved after it: {', '.join(self._moves())}"] if self.moves_bps else []),
                *(
                    f"{name}: {', '.join(span.text_parts())}"
                    for name, span in spans
                    if span is not None
                ),
                f"quality: {odd or nothing_odd(self.flags)}",
                *id_line(self.answer_id),
            ]
        )

    def _followed_earlier(self) -> Iterator[str]:
        if self.followed_earlier:
            found = "; ".join(it.text() for it in self.followed_earlier)
            yield f"followed such events in {self.earlier_sessions} earlier sessions: {found}"

    def _heading(self) -> Iterator[str]:
        yield self.ticker
        if self.age_seconds is not None:
            yield f"as of {age(self.age_seconds)} ago"
        if self.newest_quote_age_seconds is not None:
            yield f"quote {age(self.newest_quote_age_seconds)} ago"
        if self.covered_seconds is not None:
            yield f"covered {self.covered_seconds} of the last 10 s"
        yield from (flag.upper() for flag in self.flags)

    def _moves(self) -> Iterator[str]:
        for seconds, moved in self.moves_bps.items():
            yield f"{plain(moved)} bp in {seconds} s"

    def _times(self) -> Iterator[str]:
        if self.noticed_at is not None:
            yield f"noticed {ago(self.noticed_at, self.now)}"
        if self.updated_at is not None:
            yield f"updated {ago(self.updated_at, self.now)}"
        if self.return_minutes is not None:
            least = "at least " if self.at_least else ""
            yield f"return period {least}{plain(self.return_minutes)} min"


def _number_text(value: Number | None) -> str:
    return "-" if value is None else plain(value)


def explain(reader: Reader, event_id: str) -> Explanation:
    """Return an event's evidence and a summary of the records around it.

    Raises `BadQuestion`, `UnknownEvent`, another `NoAnswer`, or `StoreUnavailable`.
    """
    ticker, separator, ending = event_id.strip().rpartition("~")
    if not separator or not ticker:
        raise BadQuestion(f"id {event_id[:60]!r} is no event's: {ID_FORMAT}")
    # Before the event: its error names the cause if nothing is known about the ticker.
    try:
        snapshot = reader.snapshot(ticker, MIN_SECONDS)
    except NoAnswer:
        if not reader.past.is_kept:
            raise
        return explain_kept(reader.past, ticker, ending)
    event = reader.event(snapshot.ticker, f"{snapshot.ticker}~{ending.lower()}")
    if event is not None:
        return _explanation(reader, snapshot, event)
    if reader.past.is_kept:
        return explain_kept(reader.past, snapshot.ticker, ending)
    raise UnknownEvent(
        f"{event_id[:60]}: no such event is kept; events are kept for an hour, weak closed "
        f"ones for 10 min; {ID_FORMAT}"
    )


def _explanation(reader: Reader, snapshot: TickerSnapshot, event: EventRecord) -> Explanation:
    now_ms = clock.now_ms()
    end_ms = now_ms if event.closed_at is None else event.closed_at
    covered = snapshot.metrics.get("covered_seconds")
    as_of_ms = snapshot.as_of_ms
    return Explanation(
        ticker=snapshot.ticker,
        now=round(now_ms),
        as_of=as_of_ms,
        age_seconds=None if as_of_ms is None else seconds_of(now_ms - as_of_ms),
        newest_quote_age_seconds=seconds_of(now_ms - snapshot.newest_quote_ms),
        flags=flags_of(snapshot),
        note=snapshot.cause,
        event=event_facts(event),
        noticed_at=round(event.noticed_at),
        updated_at=round(event.updated_at),
        return_minutes=significant(event.return_minutes, 3),
        at_least=event.at_least or None,
        evidence={name: _rounded(value) for name, value in event.evidence.items()},
        followed=_followed(reader.followed(snapshot.ticker, event.type, event.side)),
        **_earlier_fields(reader.past, snapshot.ticker, event),
        before=_span(reader, snapshot.ticker, event.opened_at - CONTEXT_MS, event.opened_at),
        during=_span(reader, snapshot.ticker, event.opened_at, end_ms),
        after=None
        if event.closed_at is None
        else _span(reader, snapshot.ticker, end_ms, min(now_ms, end_ms + CONTEXT_MS)),
        covered_seconds=short(covered, 4) if isinstance(covered, (int, float)) else None,
        quality=dict(snapshot.quality.counts),
    )


def explain_kept(past: KeptPast, ticker: str, ending: str) -> Explanation:
    """Return what the history holds of an event, and of the whole seconds around it.

    Raises `UnknownEvent`, `HistoryUnavailable` or `HistoryFileUnreadable`.
    """
    name = past.find_ticker(ticker)
    kept = None if name is None else past.files.event(f"{name}~{ending.lower()}")
    if name is None or kept is None:
        raise UnknownEvent(
            f"{ticker[:40]}~{ending[:20]}: no such event is kept, neither of the last hour nor in "
            f"the history; {ID_FORMAT}"
        )
    event, now_ms = kept.record, clock.now_ms()
    closed_at = event.noticed_at if event.closed_at is None else event.closed_at
    start_ms, end_ms = whole_second(event.opened_at) - SECOND_MS, whole_second(closed_at)
    seconds = (end_ms - start_ms + 2 * CONTEXT_MS) // SECOND_MS
    table = past.table(name, end_ms + CONTEXT_MS, seconds).bars
    moves = zip(HORIZON_SECONDS, kept.moves, strict=True)
    return Explanation(
        ticker=name,
        now=round(now_ms),
        note=KEPT_EVENT_NOTE,
        event=event_facts(event),
        noticed_at=round(event.noticed_at),
        updated_at=round(event.updated_at),
        return_minutes=significant(event.return_minutes, 3),
        at_least=event.at_least or None,
        evidence={name: _rounded(value) for name, value in event.evidence.items()},
        **_earlier_fields(past, name, event),
        moves_bps={str(after): short(moved, 3) for after, moved in moves if moved is not None},
        before=_kept_span(table, start_ms - CONTEXT_MS, start_ms),
        during=_kept_span(table, start_ms, end_ms),
        after=_kept_span(table, end_ms, end_ms + CONTEXT_MS),
        quality=read_counts(table.quality(end_ms + CONTEXT_MS, seconds)),
    )


def _kept_span(table: RollingBars | WindowTable, start_ms: int, end_ms: int) -> Span:
    """Summarise the whole seconds of (start, end]; prices and sizes stand at their ends."""
    seconds = (end_ms - start_ms) // SECOND_MS
    [window] = table.windows(end_ms, (seconds,))
    sums, units_per_one = window.sums, window.units_per_one
    sizes = {
        side: [size for size in table.column(f"{side}_size", end_ms, seconds) if size > 0]
        for side in SIDE_NAMES
    }
    fields: dict[str, object] = {
        "seconds": seconds,
        "quotes": int(sums.quote_count),
        "trades": int(sums.trade_count),
    }
    for name, closing in (("from", window.start), ("to", window.end)):
        if closing is not None and closing.stood:
            fields[f"bid_{name}"] = _price(int(closing.bid_price), closing.bid_size, units_per_one)
            fields[f"ask_{name}"] = _price(int(closing.ask_price), closing.ask_size, units_per_one)
    for side, found in sizes.items():
        if found:
            fields[f"{side}_size_min"] = short(min(found), 4)
            fields[f"{side}_size_max"] = short(max(found), 4)
    if sums.trade_count:
        fields["by_buyers"] = short_size(sums.buy_volume, 6)
        fields["by_sellers"] = short_size(sums.sell_volume, 6)
        fields["unsigned"] = short_size(sums.unsigned_volume, 6)
    return Span.model_validate(fields)


def _earlier_fields(past: KeptPast, ticker: str, event: EventRecord) -> dict[str, Any]:
    """Return what followed such events in the kept sessions before the event's own."""
    found = past.followed_earlier(ticker, event.noticed_at, event.type, event.side)
    if found is None:
        return {}
    followed = _followed(found.by_horizon)
    return {"earlier_sessions": found.sessions, "followed_earlier": followed}


def _followed(found: Mapping[int, FollowedRecord]) -> list[Followed]:
    return [
        Followed(
            seconds=seconds,
            n=it.n,
            insufficient=it.insufficient,
            mean_bps=_if_known(it.mean_bps),
            low_bps=_if_known(it.low_bps),
            high_bps=_if_known(it.high_bps),
            up=_if_known(it.up),
            unchanged=_if_known(it.unchanged),
            down=_if_known(it.down),
            usual_bps=_if_known(it.baseline_mean_bps),
            usual_up=_if_known(it.baseline_up),
            usual_down=_if_known(it.baseline_down),
        )
        for seconds, it in found.items()
    ]


def _if_known(value: float | None) -> Number | None:
    return None if value is None else short(value, 3)


def _rounded(value: Value) -> Value:
    return value if isinstance(value, str) else short(value, 4)


def _span(reader: Reader, ticker: str, from_ms: float, to_ms: float) -> Span:
    found = reader.records(ticker, from_ms, to_ms)
    quotes = [record for record in found.records if isinstance(record, Quote)]
    trades = [record for record in found.records if isinstance(record, Trade)]
    return Span.model_validate(
        {
            "seconds": seconds_of(max(0.0, to_ms - from_ms)),
            "quotes": len(quotes),
            "trades": len(trades),
            "incomplete": found.more,
            **_quote_fields(quotes, FLOAT_UNITS_PER_ONE[found.digits]),
            **_trade_fields(trades, FLOAT_UNITS_PER_ONE[found.digits]),
        }
    )


def _quote_fields(quotes: Sequence[Quote], units_per_one: float) -> dict[str, Number | None]:
    if not quotes:
        return {}
    first, last = quotes[0], quotes[-1]
    bids = [quote.bid_size for quote in quotes]
    asks = [quote.ask_size for quote in quotes]
    return {
        "bid_from": _price(first.bid_price, first.bid_size, units_per_one),
        "bid_to": _price(last.bid_price, last.bid_size, units_per_one),
        "ask_from": _price(first.ask_price, first.ask_size, units_per_one),
        "ask_to": _price(last.ask_price, last.ask_size, units_per_one),
        "bid_size_min": short(min(bids), 4),
        "bid_size_max": short(max(bids), 4),
        "ask_size_min": short(min(asks), 4),
        "ask_size_max": short(max(asks), 4),
    }


def _price(units: int, size: float, units_per_one: float) -> Number | None:
    return whole(published_price(units, units_per_one)) if size > 0 else None


def _trade_fields(trades: Sequence[Trade], units_per_one: float) -> dict[str, Number | None]:
    if not trades:
        return {}
    prices = [trade.price for trade in trades]
    sizes = {BUY: 0.0, SELL: 0.0, UNSIGNED: 0.0}
    for trade in trades:
        sizes[trade.aggressor] += trade.size
    return {
        "by_buyers": short_size(sizes[BUY], 6),
        "by_sellers": short_size(sizes[SELL], 6),
        "unsigned": short_size(sizes[UNSIGNED], 6),
        "trade_low": _price(min(prices), 1, units_per_one),
        "trade_high": _price(max(prices), 1, units_per_one),
    }
