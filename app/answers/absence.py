"""Say why a ticker has no answer, or one that is outdated."""

from typing import Any

import redis

from app.answers.diagnosis import (
    TICK_LATE,
    TICKS_FAIL,
    Heartbeat,
    TickFailures,
    describe_active_tickers,
    describe_refused_writes,
    why_no_tick,
    why_outdated,
)
from app.answers.durations import age, ago, since
from app.answers.freshness import (
    ARRIVAL_NOTED_MS,
    describe_quiet,
    describe_silence,
    have_records_arrived,
)
from app.answers.rejected_records import NewestQuote, describe_unusable
from app.answers.ticker_read import ReadRequest, TickerReplies
from app.core.errors import (
    AnalysisFailing,
    AnalysisNotRunning,
    BrokerSilent,
    NoAnswer,
    NoQuotes,
    NoUsableQuotes,
    UnknownTicker,
)
from app.core.settings import Settings
from app.storage import keys
from app.storage.active_tickers import newest_active
from app.storage.feeds import is_down
from app.storage.mis_stamped import read_mis_stamped
from app.storage.published import read_number, read_quality
from app.storage.write_probe import find_refusal


class AbsenceReasons:
    """Finds the reasons, from the ticker's keys and those of the whole system."""

    def __init__(self, client: redis.Redis, names: keys.Keys, settings: Settings) -> None:
        self._redis = client
        self._keys = names
        self._settings = settings

    def no_quotes(self, request: ReadRequest, replies: TickerReplies) -> NoAnswer:
        """Return the error of a ticker without quotes."""
        ticker, now_ms = request.ticker, request.now_ms
        misstamped = self._mis_stamped(ticker, now_ms)
        if misstamped is not None:
            return NoQuotes(f"{ticker}: {misstamped}")
        if replies.trade:
            newest_ms = replies.newest_trade_ms
            seen = "" if newest_ms is None else f", the newest {since(newest_ms, now_ms)}"
            return NoQuotes(
                f"{ticker}: has trades{seen} but no quotes: "
                "check that the broker writes its quotes too"
            )
        return UnknownTicker(
            f"{ticker}: no record of this ticker in Redis; "
            f"{describe_active_tickers(ticker, newest_active(self._redis, now_ms))}. "
            "Check the spelling and that the broker writes this ticker"
        )

    def silence(
        self, request: ReadRequest, replies: TickerReplies, quote_ms: float
    ) -> BrokerSilent:
        """Return the error of a ticker whose records stopped."""
        ticker, now_ms = request.ticker, request.now_ms
        silence = describe_silence(
            quote_ms,
            now_ms,
            ticker=ticker if self._do_others_arrive(ticker, now_ms) else None,
            to_check=self._mis_stamped(ticker, now_ms),
        )
        return BrokerSilent(f"{ticker}: {silence}{_feed_note(replies, now_ms)}")

    def check_analysis(self, request: ReadRequest, replies: TickerReplies, quote_ms: float) -> None:
        """Raise `NoAnswer` if no first tick is to be expected."""
        reason = self._why_no_tick(request, TickFailures.from_fields(replies.failures))
        if reason is not None:
            kind = AnalysisFailing if reason.startswith(TICKS_FAIL) else AnalysisNotRunning
            newest = ago(quote_ms, request.now_ms)
            raise kind(f"{request.ticker}: quotes come in (the newest {newest}), but {reason}")

    def why_stale(self, request: ReadRequest, failures: TickFailures) -> str:
        """Return why the newest tick is too old."""
        return (
            self._why_no_tick(request, failures)
            or why_outdated(self._heartbeat(request), self._settings)
            or TICK_LATE
        )

    def why_quiet(
        self, request: ReadRequest, replies: TickerReplies, newest: NewestQuote, quote_ms: float
    ) -> str:
        """Return why the newest usable quote is older than the ticker's quotes usually are."""
        now_ms, ticker = request.now_ms, request.ticker
        return describe_quiet(
            quote_ms,
            replies.newest_quote_ms or quote_ms,
            now_ms,
            is_rejected=newest.rejected.quotes.count > 0,
            records_arrive=_do_records_arrive(quote_ms, now_ms, replies),
            ticker=ticker if self._do_others_arrive(ticker, now_ms) else None,
        )

    def _mis_stamped(self, ticker: str, now_ms: float) -> str | None:
        """Return what is wrong with the stamps of a ticker's records, None if nothing is."""
        found = read_mis_stamped(self._redis, self._keys, ticker, now_ms)
        if found is None:
            return None
        if found.unit is None:
            return (
                f"its newest {found.kind} are stamped {age(found.ahead_ms / 1000)} ahead of the "
                "clock and count when their time comes: check the clocks of the broker and of this "
                "machine"
            )
        return (
            f"its {found.kind} are scored in {found.unit}, not milliseconds, and left out: "
            "the broker must score them by epoch milliseconds"
        )

    def _why_no_tick(self, request: ReadRequest, failures: TickFailures) -> str | None:
        refusal = find_refusal(self._redis)
        if refusal is not None:
            return describe_refused_writes(refusal)
        return why_no_tick(self._heartbeat(request), failures, self._settings)

    def _do_others_arrive(self, ticker: str, now_ms: float) -> bool:
        """Return whether quotes of other tickers arrived lately, as discovery saw them."""
        store: Any = self._redis
        newest = store.zrevrange(keys.TICKERS, 0, 1, withscores=True)
        return any(
            name != ticker.encode() and now_ms - seen_ms <= ARRIVAL_NOTED_MS
            for name, seen_ms in newest
        )

    def _heartbeat(self, request: ReadRequest) -> Heartbeat:
        store: Any = self._redis
        return Heartbeat.from_fields(store.hgetall(keys.HEARTBEAT), request.now_ms)


def no_usable_quotes(request: ReadRequest, newest: NewestQuote) -> NoUsableQuotes:
    """Return the error of a ticker none of whose quotes can be used."""
    ticker, rejected = request.ticker, newest.rejected.quotes
    if rejected.count:
        reason = describe_unusable(rejected, newest.usable_ms, request.now_ms)
        return NoUsableQuotes(f"{ticker}: {reason}")
    return NoUsableQuotes(
        f"{ticker}: quotes arrive too late to be analysed: write each within 200 ms of its stamp"
    )


def _feed_note(replies: TickerReplies, now_ms: float) -> str:
    """Return that a silent ticker's feed is down or alive, nothing where it says nothing."""
    feed = replies.feed_record()
    if feed is None or feed.alive_at is None:
        return ""
    state = "FEED DOWN" if is_down(feed, now_ms) else "its feed is alive"
    return f". {state}: last sign of it {ago(feed.alive_at, now_ms)}"


def _do_records_arrive(quote_ms: float, now_ms: float, replies: TickerReplies) -> bool:
    """Return whether records arrive, though none is a newer quote: records with old stamps."""
    if have_records_arrived(replies.active_at or 0.0, quote_ms, now_ms):
        return True
    late = read_quality(replies.window.get(b"quality")).counts.get("late")
    return bool(late) and read_number(replies.window.get(b"quote_count")) == 0
