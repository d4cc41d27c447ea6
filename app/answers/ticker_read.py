"""Read all keys of one ticker in one transaction, so that they are of the same tick."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import redis

from app.analysis.bars import SECOND_MS, Bar
from app.analysis.gaps import Gap
from app.analysis.metrics import compute_metrics
from app.analysis.outcomes import HORIZON_SECONDS
from app.analysis.pattern_table import PATTERNS
from app.analysis.price_fields import PriceWalk
from app.analysis.price_units import (
    DEFAULT_DIGITS,
    EXACT_DIGITS,
    FLOAT_UNITS_PER_ONE,
    MAX_DIGITS,
    UNITS_PER_ONE,
    published_price,
)
from app.analysis.ranks import Ranks, unpack_ranks
from app.analysis.record_parser import parse_quote, parse_trade
from app.analysis.record_schemas import MIN_EPOCH_MS
from app.analysis.records import UNSIGNED
from app.analysis.rolling_bars import RollingBars
from app.analysis.windows import WINDOWS
from app.answers.rejected_records import NewestQuote, find_newest_quote
from app.core.errors import RecordRejected, StateUnreadable
from app.history.window_table import WindowTable
from app.storage.feed_lags import read_seconds
from app.storage.feeds import remembered_feed
from app.storage.keys import (
    FEEDS,
    GAPS,
    LAGS,
    PRICE_DIGITS,
    QUOTE_AT,
    RANK_PAST,
    REJECTED,
    TICK_SIZE,
    TICKERS,
    Keys,
)
from app.storage.published import (
    EvidenceClass,
    FeedRecord,
    FollowedRecord,
    Value,
    read_counts,
    read_feed,
    read_followed,
    read_followed_text,
    read_number,
    read_rejected,
    read_session,
    read_stamp,
    read_ticked_at,
)
from app.storage.tick.codec import decode_bar, decode_bars, decode_gaps
from app.storage.tick.score_bounds import AHEAD_MS

WINDOW_OF_SECONDS = {seconds: name for name, seconds in WINDOWS.items()}
MAX_EVENTS_READ = 2000
# The newest trades read: one that can't be used says nothing of the evidence.
NEWEST_TRADES = 5
TRADE_COUNT = b"trade_count"
_STATE_FIELDS = (
    *("as_of", "recent", TICK_SIZE, PRICE_DIGITS, QUOTE_AT, REJECTED, "version"),
    GAPS,
)
FOLLOWED_SECONDS = 60
"""The horizon of what an answer says that followed events."""
_KINDS = tuple((row.type, side) for row in PATTERNS for side in row.sides)
_OUTCOME_FIELDS = [f"{kind}:{side}:{FOLLOWED_SECONDS}" for kind, side in _KINDS]

Hash = Mapping[bytes, bytes]
Scored = Sequence[tuple[bytes, float]]
Entries = Sequence[tuple[bytes, Hash]]
_NO_FIELDS: Hash = {}
# redis-py's annotations add an awaitable to every reply.
_Pipeline = Any


class ReadRequest(NamedTuple):
    """A ticker and a history of `seconds` that ends at `now_ms`."""

    ticker: str
    seconds: int
    now_ms: float


class WindowSums(NamedTuple):
    """Metrics and quality counts of a history, summed from bars.

    `unseen_seconds` is the part of the history before the first bar with a quote, `gaps` are the
    times inside whose records were lost.
    """

    metrics: Mapping[str, Value]
    counts: Mapping[str, int]
    unseen_seconds: float
    gaps: tuple[tuple[float, float], ...] = ()


class SecondTable(NamedTuple):
    """The seconds of a history one by one, and the tick size as now known, 0 where it is not.

    The tick size is in the price unit of the seconds.
    """

    bars: RollingBars | WindowTable
    tick_size: int


class StoredRanks(NamedTuple):
    """The past of a ticker's metrics, as last stored, and its newest tick."""

    as_of_ms: int
    ranks: Ranks


class TickerReplies(NamedTuple):
    """Redis's replies in the order of the commands; a key of a wrong type reads as empty.

    `lag` is the settle time of a feed that is behind; `active_at` when discovery last knew the
    ticker to be active; `last_feed` what its feed last said of itself.
    """

    lag: bytes | None = None
    active_at: float | None = None
    last_feed: bytes | None = None
    state: Sequence[bytes | None] = ()
    five_minutes: Hash = _NO_FIELDS
    quote: Scored = ()
    trade: Scored = ()
    failures: Hash = _NO_FIELDS
    levels: Sequence[bytes] = ()
    ask_levels: Sequence[bytes] = ()
    events: Sequence[bytes] = ()
    window: Hash = _NO_FIELDS
    session: Hash = _NO_FIELDS
    outcomes: Sequence[bytes | None] = ()
    feed: Hash = _NO_FIELDS
    bars: Entries = ()
    bar_before: Entries = ()

    @property
    def as_of_ms(self) -> int | None:
        """Return the time of the newest tick, None before the first."""
        for text in (self.five_minutes.get(b"as_of"), *self.state[:1]):
            as_of = read_stamp(text)
            if as_of is not None:
                return int(as_of)
        return None

    @property
    def ticked_at_ms(self) -> int | None:
        """Return when the newest tick was, by its clock: after its `as_of` for a delayed feed."""
        stamps = self.as_of_ms, read_ticked_at(self._state_field("version"))
        return max((int(stamp) for stamp in stamps if stamp is not None), default=None)

    @property
    def newest_quote_ms(self) -> float | None:
        """Return the stamp of the newest quote that is not ahead of the clock, usable or not."""
        return _stamp(self.quote)

    @property
    def newest_quote(self) -> NewestQuote:
        """Return the newest usable quote, and what was rejected since."""
        return find_newest_quote(
            self.quote,
            self.as_of_ms,
            read_stamp(self._state_field(QUOTE_AT)),
            read_rejected(self._state_field(REJECTED)),
            read_number(self.five_minutes.get(b"covered_seconds")),
        )

    @property
    def feed_lag_seconds(self) -> int:
        """Return the settle time of a feed that is behind, 0 for one in time."""
        return read_seconds(self.lag)

    @property
    def feed_lag_ms(self) -> int:
        """Return the same in milliseconds."""
        return self.feed_lag_seconds * SECOND_MS

    @property
    def newest_trade_ms(self) -> float | None:
        """Return the stamp of the newest trade that is not ahead of the clock."""
        return _stamp(self.trade)

    def followed(self) -> dict[tuple[str, str], FollowedRecord]:
        """Return what followed events within `FOLLOWED_SECONDS`, by type and side."""
        texts = zip(_KINDS, self.outcomes, strict=False)
        found = {kind: read_followed_text(text) for kind, text in texts if text is not None}
        return {kind: record for kind, record in found.items() if record is not None}

    def session_numbers(self) -> dict[str, Value]:
        """Return what is published of the session."""
        return read_session(self.session)

    def feed_record(self) -> FeedRecord | None:
        """Return what the feed says of itself, or last said before it died."""
        newest_ms = max(self.newest_quote_ms or 0.0, self.newest_trade_ms or 0.0)
        return read_feed(self.feed) if self.feed else remembered_feed(self.last_feed, newest_ms)

    def newest_quote_metrics(self) -> dict[str, Value]:
        """Return the newest quote as metrics, for a ticker before its first tick."""
        try:
            quote, _ = parse_quote(*self.quote[0], EXACT_DIGITS)
        except (IndexError, RecordRejected):
            return {}
        units_per_one = FLOAT_UNITS_PER_ONE[EXACT_DIGITS]
        fields: dict[str, Value] = {"bid_size": quote.bid_size, "ask_size": quote.ask_size}
        if quote.bid_size > 0:
            fields["bid_price"] = published_price(quote.bid_price, units_per_one)
        if quote.ask_size > 0:
            fields["ask_price"] = published_price(quote.ask_price, units_per_one)
        return fields

    def usable_quote_ms(self, as_of_ms: int) -> float | None:
        """Return the stamp of the newest usable quote read, else the last second with a quote.

        None where neither is kept.
        """
        for member, score in self.quote:
            try:
                parse_quote(member, score, EXACT_DIGITS)
            except RecordRejected:
                continue
            return score
        return max((bar.end for bar in self.bars_until(as_of_ms) if bar.quote_count), default=None)

    @property
    def evidence_class(self) -> EvidenceClass:
        """Return the ticker's evidence class by its newest usable trade."""
        return evidence_class_of(self.trade, has_trades=TRADE_COUNT in self.five_minutes)

    @property
    def tick_size(self) -> int:
        """Return the tick size in price units as of the newest tick, 0 where it is not known."""
        found = read_number(self._state_field(TICK_SIZE))
        return found if isinstance(found, int) and found > 0 else 0

    @property
    def price_digits(self) -> int:
        """Return the digits of the price unit as of the newest tick."""
        found = read_number(self._state_field(PRICE_DIGITS))
        is_known = isinstance(found, int) and DEFAULT_DIGITS <= found <= MAX_DIGITS
        return int(found) if found is not None and is_known else DEFAULT_DIGITS

    def _state_field(self, name: str) -> bytes | None:
        return dict(zip(_STATE_FIELDS, self.state, strict=False)).get(name)

    def sum_window(self, as_of_ms: int, seconds: int, tick_size: int = 0) -> WindowSums:
        """Return metrics and quality counts of the `seconds` up to `as_of_ms`, from bars.

        `tick_size` is in the newest tick's price unit.
        """
        bars = self.bars_until(as_of_ms)
        table = self._table(bars, as_of_ms, seconds)
        [window] = table.windows(as_of_ms, (seconds,))
        # Bars before the first quote only count what was rejected, or trades.
        seen = next((bar.end - SECOND_MS for bar in bars if bar.stood), as_of_ms)
        unseen_ms = seen - (as_of_ms - seconds * SECOND_MS) if bars else 0
        return WindowSums(
            compute_metrics(window, self._in_unit_of(table, tick_size)),
            read_counts(table.quality(as_of_ms, seconds)),
            unseen_ms / SECOND_MS,
            self._gap_times(as_of_ms, as_of_ms - seconds * SECOND_MS),
        )

    def _gap_times(self, as_of_ms: int, start_ms: float) -> tuple[tuple[float, float], ...]:
        """Return the times inside a history whose records were lost."""
        return gap_times(self.gaps_until(as_of_ms), start_ms)

    def table(self, as_of_ms: int, seconds: int) -> SecondTable:
        """Return the `seconds` up to `as_of_ms` one by one."""
        table = self._table(self.bars_until(as_of_ms), as_of_ms, seconds)
        return SecondTable(table, self._in_unit_of(table, self.tick_size))

    def _table(self, bars: list[Bar], as_of_ms: int, seconds: int) -> RollingBars:
        """Make a table in the finest unit of its bars and of the newest tick."""
        # Without bars, one empty bar: the table needs an end time.
        table = RollingBars.from_bars(
            bars or [Bar(as_of_ms)], seconds, gaps=self.gaps_until(as_of_ms)
        )
        digits = self.price_digits
        if table.digits < digits:
            table.use_finer_unit(digits, PriceWalk(UNITS_PER_ONE[digits - table.digits]))
        table.fill_to(as_of_ms)
        return table

    def gaps_until(self, as_of_ms: int) -> list[Gap]:
        """Return the gaps that had ended by then."""
        stored = self._state_field(GAPS)
        try:
            gaps = decode_gaps(stored) if stored else []
        except StateUnreadable:
            return []
        return [gap for gap in gaps if gap.end <= as_of_ms]

    def _in_unit_of(self, table: RollingBars, tick_size: int) -> int:
        return tick_size * UNITS_PER_ONE[table.digits - self.price_digits]

    def bars_until(self, as_of_ms: int) -> list[Bar]:
        """Return the bars that were read, in order, up to `as_of_ms`."""
        recent = self.state[1] if len(self.state) > 1 else None
        entries = [*self.bar_before, *self.bars]
        try:
            bars = {bar.end: bar for bar in (decode_bar(fields[b"b"]) for _, fields in entries)}
            bars |= {bar.end: bar for bar in (decode_bars(recent) if recent else ())}
        except (KeyError, StateUnreadable):
            # Bars of another version of the definitions can't be decoded.
            return []
        return [bars[end] for end in sorted(bars) if end <= as_of_ms]


def gap_times(gaps: Iterable[Gap], start_ms: float) -> tuple[tuple[float, float], ...]:
    """Return the times after `start_ms` that lie in gaps."""
    return tuple(
        (max(gap.start, start_ms), gap.end) for gap in gaps if gap.end > max(gap.start, start_ms)
    )


def evidence_class_of(newest_trades: Scored, *, has_trades: bool) -> EvidenceClass:
    """Return A if the newest usable trade has its aggressor, B if it has not, C without any.

    `has_trades`: a tick has folded some; it decides where none of the newest ones is usable.
    """
    for member, score in newest_trades:
        try:
            parsed, _ = parse_trade(member, score, EXACT_DIGITS)
        except RecordRejected:
            continue
        return "B" if parsed.aggressor == UNSIGNED else "A"
    return "B" if has_trades and newest_trades else "C"


def _stamp(newest: Scored) -> float | None:
    return newest[0][1] if newest and newest[0][1] >= MIN_EPOCH_MS else None


def nearest_window(seconds: int) -> str:
    """Return the name of the published window whose length is nearest to a history's.

    >>> [nearest_window(seconds) for seconds in (10, 30, 45, 90, 300, 3600)]
    ['10s', '10s', '1min', '1min', '5min', '5min']
    """
    return min(WINDOWS, key=lambda name: abs(WINDOWS[name] - seconds))


class TickerReads:
    """Read tickers over one connection pool."""

    def __init__(self, client: redis.Redis, keys: Keys) -> None:
        # `Any`: redis-py's annotations add an awaitable to every reply.
        self._redis: Any = client
        self._is_cluster = not isinstance(client, redis.Redis)
        self._keys = keys

    def read(
        self,
        request: ReadRequest,
        newest_tick_after_ms: float,
        bars_from_ms: int | None = None,
    ) -> TickerReplies:
        """Return a ticker's keys; with bars only if the history has no hash of its own.

        `bars_from_ms` asks for those that end after it, in the same transaction.
        """
        key, ticker = self._keys, request.ticker
        pipe = self._redis.pipeline(transaction=True)
        feed = _execute(self._request_feed(ticker)) if self._is_cluster else []
        if not self._is_cluster:
            self._request_feed(ticker, pipe)
        pipe.hmget(key.state(ticker), *_STATE_FIELDS)
        pipe.hgetall(key.metrics(ticker, "5min"))
        newest_ms = request.now_ms + AHEAD_MS
        for broker_key, most in ((key.quotes(ticker), 1), (key.trades(ticker), NEWEST_TRADES)):
            pipe.zrevrangebyscore(broker_key, newest_ms, "-inf", 0, most, withscores=True)
        pipe.hgetall(key.failures(ticker))
        pipe.zrevrange(key.levels(ticker, "bid"), 0, -1)
        pipe.zrevrange(key.levels(ticker, "ask"), 0, -1)
        pipe.zrevrange(key.patterns(ticker), 0, MAX_EVENTS_READ - 1)
        pipe.hgetall(key.metrics(ticker, nearest_window(request.seconds)))
        pipe.hgetall(key.session(ticker))
        pipe.hmget(key.outcomes(ticker), _OUTCOME_FIELDS)
        pipe.hgetall(key.feed(ticker))
        if bars_from_ms is not None:
            self._request_bars(pipe, request.ticker, bars_from_ms)
        elif request.seconds not in WINDOW_OF_SECONDS:
            self._request_bars(pipe, request.ticker, _start_ms(int(newest_tick_after_ms), request))
        return TickerReplies(*feed, *_execute(pipe, len(feed)))

    def _request_feed(self, ticker: str, pipe: _Pipeline = None) -> _Pipeline:
        """Request what is kept of all tickers in one key: in a cluster, in another slot."""
        pipe = self._redis.pipeline(transaction=False) if pipe is None else pipe
        pipe.hget(LAGS, ticker)
        pipe.zscore(TICKERS, ticker)
        pipe.hget(FEEDS, ticker)
        return pipe

    def read_state(self, ticker: str) -> TickerReplies:
        """Read only the state's fields: the newest bars are in them."""
        return TickerReplies(state=self._redis.hmget(self._keys.state(ticker), *_STATE_FIELDS))

    def read_ranks(self, ticker: str) -> StoredRanks | None:
        """Return the past of a ticker's metrics, None where none can be read."""
        as_of, packed = self._redis.hmget(self._keys.state(ticker), "as_of", RANK_PAST)
        as_of_ms = read_stamp(as_of)
        if as_of_ms is None or not packed:
            return None
        try:
            return StoredRanks(int(as_of_ms), unpack_ranks(packed))
        except ValueError:
            # Of another version of the definitions.
            return None

    def read_followed(self, ticker: str, pattern: str, side: str) -> dict[int, FollowedRecord]:
        """Return what followed a ticker's events of one type and side, by horizon in seconds."""
        fields = [f"{pattern}:{side}:{seconds}" for seconds in HORIZON_SECONDS]
        pipe = self._redis.pipeline(transaction=False)
        pipe.hmget(self._keys.outcomes(ticker), fields)
        [texts] = pipe.execute(raise_on_error=False)
        return read_followed(_reply_or_empty(texts, [None] * len(fields)))

    def read_session(self, ticker: str) -> dict[str, Value]:
        """Return what is published of a ticker's session."""
        pipe = self._redis.pipeline(transaction=False)
        pipe.hgetall(self._keys.session(ticker))
        [fields] = pipe.execute(raise_on_error=False)
        return read_session(_reply_or_empty(fields, _NO_FIELDS))

    def read_bars(
        self, replies: TickerReplies, request: ReadRequest, as_of_ms: int
    ) -> TickerReplies:
        """Return `replies` with the bars of the history that ends at `as_of_ms`."""
        pipe = self._redis.pipeline(transaction=True)
        self._request_bars(pipe, request.ticker, _start_ms(as_of_ms, request))
        bars, bar_before = _execute(pipe, TickerReplies._fields.index("bars"))
        return replies._replace(bars=bars, bar_before=bar_before)

    def read_moment(
        self, replies: TickerReplies, request: ReadRequest, as_of_ms: int
    ) -> TickerReplies:
        """Return `replies` with the bars up to an earlier moment and its newest records."""
        pipe = self._redis.pipeline(transaction=True)
        for key in (self._keys.quotes(request.ticker), self._keys.trades(request.ticker)):
            pipe.zrevrangebyscore(key, as_of_ms, "-inf", 0, NEWEST_TRADES, withscores=True)
        self._request_bars(pipe, request.ticker, _start_ms(as_of_ms, request))
        quotes, trades, bars, bar_before = pipe.execute(raise_on_error=False)
        return replies._replace(
            quote=_reply_or_empty(quotes, ()),
            trade=_reply_or_empty(trades, ()),
            bars=_reply_or_empty(bars, ()),
            bar_before=_reply_or_empty(bar_before, ()),
        )

    def _request_bars(self, pipe: _Pipeline, ticker: str, start_ms: int) -> None:
        key = self._keys.bars(ticker)
        pipe.xrange(key, start_ms + 1, "+")
        # The newest bar before the history, of any age, holds the quote that stood at its start.
        pipe.xrevrange(key, start_ms, "-", count=1)


def _start_ms(as_of_ms: int, request: ReadRequest) -> int:
    """Return the start of the history that ends at `as_of_ms`."""
    return max(0, as_of_ms - request.seconds * SECOND_MS)


_EMPTY = tuple(TickerReplies._field_defaults.values())


def _execute(pipe: _Pipeline, first: int = 0) -> list[Any]:
    replies = pipe.execute(raise_on_error=False)
    return [_reply_or_empty(reply, _EMPTY[first + i]) for i, reply in enumerate(replies)]


def _reply_or_empty(reply: object, empty: object) -> Any:  # noqa: ANN401 - a reply
    if not isinstance(reply, Exception):
        return reply
    if isinstance(reply, redis.ResponseError) and str(reply).startswith("WRONGTYPE"):
        return empty
    raise reply
