"""The kinds of faults of a feed: records that come late, delayed, or in no usable form."""

import time
from collections.abc import Sequence

from tests.faults.broker import LATENESS_MS, LEAD_MS, Posting, postings_of
from tests.faults.context import FaultContext, require
from tests.faults.samples import LAGS
from tests.faults.system import pass_time
from tests.faults.tapes import records_of
from tests.processes import wait_until

LATE_FEED_MS = (0.0, 12_000.0)
LATE_SECONDS = 8.0
DELAY_MS = 900_000
DELAYED = "DELAYED"
HISTORY_MS = 20_000.0
"""How much of its past a feed writes at once when it begins."""
ODD = "ODD"
FLOOD_RECORDS = 6_000
FLOOD_SECONDS = 3.0
_NEVER = float("inf")
_REFUSED = (
    '{{"seq": {n}, "bid_price": 10, "bid_size": 1, "ask_price": null, "ask_size": 1}}',
    '{{"seq": {n}, "bid_price": 0, "bid_size": 1, "ask_price": 10, "ask_size": 1}}',
    '{{"seq": {n}, "bid_price": 10, "bid_size": -1, "ask_price": 11, "ask_size": 1}}',
    '{{"seq": {n}, "bid_price": 1e300, "bid_size": 1, "ask_price": 11, "ask_size": 1}}',
    "{n} is no JSON object",
)


def held_back(ticker: str, seed: int, start_ms: int, seconds: int) -> list[Posting]:
    """Return a ticker's postings, which wait until its fault lets them go."""
    postings = postings_of(ticker, records_of(ticker, seed, start_ms, seconds, odd=False))
    for posting in postings:
        posting.due_ms = _NEVER
    return postings


def refused_postings(count: int) -> list[Posting]:
    """Return quotes that are to be refused, for a ticker and with stamps that the fault chooses."""
    members = (_REFUSED[n % len(_REFUSED)].format(n=n).encode() for n in range(2 * count))
    return [Posting("", "", member, 0.0, _NEVER) for member in members]


def waiting_postings(context: FaultContext, ticker: str) -> list[Posting]:
    """Return a ticker's postings that wait for their fault."""
    return [p for p in context.broker.waiting if p.ticker == ticker and p.due_ms == _NEVER]


def reorder(context: FaultContext) -> None:
    """Let the broker see when postings are due now."""
    context.broker.waiting.sort(key=lambda posting: posting.due_ms)


def _lag_seconds(context: FaultContext, ticker: str) -> int:
    return int(context.system.client.hget(LAGS, ticker) or 0)


def late_feed(context: FaultContext) -> str:
    """Let all records be up to 12 s late for a while, so that tickers get own settle times."""
    broker = context.broker
    before = broker.delayed
    broker.lateness_ms, broker.late_share = LATE_FEED_MS, 1.0
    pass_time(LATE_SECONDS)
    broker.late_share, broker.lateness_ms = 0.0, LATENESS_MS
    wait_until(lambda: not any(p.is_late for p in broker.waiting), "the last late one came")
    late = broker.delayed - before
    require(late > 0, "none was late")
    # A ticker with few records may have had too few late ones to call its feed behind.
    wait_until(
        lambda: any(_lag_seconds(context, ticker) > 0 for ticker in context.tickers),
        "a ticker has a settle time of its own",
    )
    # Where a settle time grew, no tick is published until its `as_of` has caught up.
    wait_until(
        lambda: max(context.newest().values()) <= time.time() * 1000.0, "the ticks have waited"
    )
    lags = [_lag_seconds(context, ticker) for ticker in context.tickers]
    require(max(lags) <= LATE_FEED_MS[1] / 1000 + 1, f"settle times {lags}")
    seen = [s for s in context.sampler.samples if s.ticker in context.tickers]
    require(any("late" in s.quality("1min") for s in seen), "none is shown as late")
    return f"{late} late, settle times {lags} s"


def delayed_feed(context: FaultContext) -> str:
    """Let a ticker appear whose records are stamped 15 min behind, all the time."""
    now_ms = time.time() * 1000.0
    pending = waiting_postings(context, DELAYED)
    require(len(pending) > 100, "there is no delayed feed")
    for posting in pending:
        if posting.stamp > now_ms - DELAY_MS - HISTORY_MS:
            delay_ms = DELAY_MS + context.random.uniform(0.0, 300.0)
            posting.due_ms = max(now_ms, posting.stamp + delay_ms)
    context.sampler.tickers.append(DELAYED)
    reorder(context)

    def behind_ms() -> float:
        return time.time() * 1000.0 - context.sampler.newest(DELAYED)

    wait_until(lambda: behind_ms() < 3000.0, "the delayed ticker ticks in time")
    pass_time(8.0)
    require(behind_ms() < 3000.0, "the delayed ticker ticks no longer")
    lag = _lag_seconds(context, DELAYED)
    require(DELAY_MS / 1000 <= lag <= DELAY_MS / 1000 + 5, f"settle time {lag} s")
    return f"served {lag} s behind"


def refused_flood(context: FaultContext) -> str:
    """Write thousands of refused quotes to a ticker, and before the first quote of another."""
    now_ms = time.time() * 1000.0
    newest = context.newest()
    refused = waiting_postings(context, "")
    require(len(refused) == 2 * FLOOD_RECORDS, "there is no flood")
    old, flooded = refused[:FLOOD_RECORDS], context.random.choice(list(context.tickers))
    # One ticker's lie in its past, so that its first ticks read nothing else.
    spread(old, ODD, now_ms - HISTORY_MS, now_ms)
    start_ms = now_ms + LEAD_MS + 500.0
    spread(refused[FLOOD_RECORDS:], flooded, start_ms, start_ms + FLOOD_SECONDS * 1000)
    for posting in waiting_postings(context, ODD):
        if posting.stamp > start_ms:
            posting.due_ms = posting.stamp - LEAD_MS
    context.sampler.tickers.append(ODD)
    reorder(context)
    context.note_end("a flood of refused records")
    context.await_ticks_after(newest)
    wait_until(
        lambda: context.sampler.newest(ODD) >= max(context.newest().values()) - 2000,
        "the ticker that began with refused records is up to date",
    )
    pass_time(FLOOD_SECONDS)
    # The ticks of a feed that is behind come to the flood later, by its settle time.
    wait_until(
        lambda: any(
            "rejected" in s.quality("1min") for s in context.sampler.samples if s.ticker == flooded
        ),
        "some are counted",
    )
    return f"{FLOOD_RECORDS} refused before the first of {ODD}, and as many of {flooded}"


def spread(postings: Sequence[Posting], ticker: str, from_ms: float, to_ms: float) -> None:
    """Stamp refused quotes of a ticker evenly over a time, and let them be due."""
    for number, posting in enumerate(postings):
        posting.ticker, posting.key = ticker, f"orderflow:quotes:{ticker}"
        posting.stamp = from_ms + number * (to_ms - from_ms) / len(postings)
        posting.due_ms = posting.stamp - LEAD_MS
