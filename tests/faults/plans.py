"""Seeded plans: which faults, in which order, on which tape; and their outcomes."""

import tempfile
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from tests.faults.broker import Broker, Posting, postings_of
from tests.faults.comparison import MOST_NAMED, compare
from tests.faults.context import SETTLE_MS, FaultContext
from tests.faults.feed_kinds import (
    DELAY_MS,
    DELAYED,
    FLOOD_RECORDS,
    ODD,
    held_back,
    refused_postings,
)
from tests.faults.kinds import BIG, EXACT, KINDS, LATE, LOST
from tests.faults.samples import Sampler
from tests.faults.system import System
from tests.faults.tapes import PAST_SECONDS, TICKERS, backlog_of, records_of
from tests.processes import BOUND_SECONDS, wait_until

LIVE_SECONDS = 150
SHORTEST_SECONDS = 15.0
SETTLES_SECONDS = {EXACT: 3.0, LATE: 20.0, LOST: 18.0}
RECOVERY_SECONDS = 3.0
LOOK_SECONDS = 0.6
BACKLOG_RECORDS = 20_000
BACKLOG_SECONDS = 120
_RANK = (EXACT, LATE, LOST)


@dataclass(frozen=True, slots=True)
class Plan:
    """Faults in their order; the same seed gives the same plan."""

    seed: int
    faults: tuple[str, ...]
    fast_path: bool = True

    @classmethod
    def of(cls, seed: int) -> "Plan":
        """Draw a plan; consecutive seeds go through all kinds, each time in other pairs."""
        names = list(KINDS)
        turn, first = divmod(seed, len(names))
        second = (first + 1 + turn % (len(names) - 1)) % len(names)
        return cls(seed, (names[first], names[second]))

    @property
    def kind(self) -> str:
        """Return the plan's class: that of its worst fault."""
        return max((KINDS[name][0] for name in self.faults), key=_RANK.index)


@dataclass
class Outcome:
    """The outcome of a plan, which passed where nothing is wrong."""

    plan: Plan
    wrong: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    recoveries: list[tuple[str, float]] = field(default_factory=list)
    compared: int = 0
    seconds: float = 0.0

    def late_recoveries(self) -> list[str]:
        """Describe what took longer than promised on a machine that does nothing else."""
        promised = RECOVERY_SECONDS + LOOK_SECONDS
        return [
            f"{name}: ticks came back after {seconds:.1f} s"
            for name, seconds in self.recoveries
            if seconds > promised
        ]

    def report(self) -> str:
        """Describe the outcome in a few lines."""
        how = "FAILED" if self.wrong else "passed"
        mode = "" if self.plan.fast_path else " on stock Celery"
        faults = " + ".join(self.plan.faults)
        start = f"seed {self.plan.seed}{mode}: {how}, {self.plan.kind}, {faults}"
        lines = [f"{start}; {self.compared} comparisons in {self.seconds:.0f} s"]
        lines += [f"    {note}" for note in self.notes]
        lines += [f"    WRONG {line[-900:]}" for line in self.wrong[:MOST_NAMED]]
        more = len(self.wrong) - MOST_NAMED
        return "\n".join([*lines, *([f"    and {more} more"] if more > 0 else [])])


def run(plan: Plan) -> Outcome:
    """Run a plan on a private server; never raises for what the system does."""
    outcome = Outcome(plan)
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="faults-") as folder:
        settings = {"ORDERFLOW_FAST_PATH": str(int(plan.fast_path))}
        system = System(Path(folder), settings=settings)
        try:
            _run(plan, system, outcome)
        except Exception:  # noqa: BLE001 - a plan that can't go on is a failed plan
            outcome.wrong.append(traceback.format_exc()[-900:])
        finally:
            logs = [one.said() for one in system.started]
            system.close()
    unexpected = [log for log in logs if "Traceback" in log]
    outcome.wrong += [log[log.index("Traceback") - 300 :][:1500] for log in unexpected]
    outcome.seconds = time.monotonic() - began
    return outcome


def _tape(plan: Plan, start_ms: int, seconds: int) -> list[Posting]:
    postings: list[Posting] = []
    for ticker in TICKERS:
        odd = plan.kind == EXACT
        postings += postings_of(ticker, records_of(ticker, plan.seed, start_ms, seconds, odd=odd))
    return postings


@contextmanager
def live(plan: Plan, system: System, live_seconds: int = LIVE_SECONDS) -> Iterator[FaultContext]:
    """Start a system and its broker, and give them once all tickers are up to date."""
    system.open()
    start_ms = (int(time.time()) - PAST_SECONDS) * 1000
    seconds = PAST_SECONDS + live_seconds
    draw = Random(plan.seed)  # noqa: S311
    broker = Broker(system.port, draw, _tape(plan, start_ms, seconds))
    if "backlog" in plan.faults:
        broker.add(_backlog(plan.seed, start_ms))
    if "delayed-feed" in plan.faults:
        broker.add(held_back(DELAYED, plan.seed, start_ms - DELAY_MS, seconds))
    if "refused-flood" in plan.faults:
        broker.add(held_back(ODD, plan.seed, start_ms, seconds))
        broker.add(refused_postings(FLOOD_RECORDS))
    sampler = Sampler(system.port, TICKERS)
    context = FaultContext(system, broker, sampler, draw, TICKERS)
    try:
        broker.begin()
        sampler.begin()
        wait_until(lambda: _is_live(context), "all tickers are up to date", BOUND_SECONDS)
        yield context
    finally:
        sampler.end()
        broker.end()


def _run(plan: Plan, system: System, outcome: Outcome) -> None:
    with live(plan, system) as context:
        _do(plan, context)
    outcome.notes = context.notes
    _compare(plan, context, outcome)


def _backlog(seed: int, start_ms: int) -> list[Posting]:
    records = backlog_of(seed, start_ms + PAST_SECONDS * 1000, BACKLOG_RECORDS, BACKLOG_SECONDS)
    postings = postings_of(BIG, records)
    for posting in postings:
        posting.due_ms = float("inf")
    return postings


def _is_live(context: FaultContext) -> bool:
    now_ms = time.time() * 1000.0
    return all(as_of > now_ms - 3000 for as_of in context.newest().values())


def _do(plan: Plan, context: FaultContext) -> None:
    began = time.monotonic()
    for name in plan.faults:
        time.sleep(context.random.uniform(1.0, 2.5))
        note = KINDS[name][1](context)
        context.notes.append(f"{name}: {note}")
    left = SHORTEST_SECONDS - (time.monotonic() - began)
    time.sleep(max(left, SETTLES_SECONDS[plan.kind]))
    wait_until(lambda: _is_live(context), "every ticker is up to date at the end")


def _compare(plan: Plan, context: FaultContext, outcome: Outcome) -> None:
    outcome.wrong += context.sampler.faults
    for ticker in context.sampler.tickers:
        postings = [posting for posting in context.broker.done if posting.ticker == ticker]
        samples = [sample for sample in context.sampler.samples if sample.ticker == ticker]
        kind = plan.kind if ticker in TICKERS else EXACT
        if plan.kind not in {kind, EXACT}:
            continue
        comparison = compare(kind, ticker, postings, samples)
        if not comparison.compared:
            comparison.miss(f"{ticker}: nothing could be compared")
        outcome.compared += comparison.compared
        outcome.wrong += comparison.misses
    for name, end_ms in context.ends_ms:
        seconds = _recovery_seconds(context, end_ms, is_empty="empty" in name)
        outcome.recoveries.append((name, seconds))


def _first_quote_ms(context: FaultContext, ticker: str, from_ms: float) -> float:
    """Return when an empty Redis first had a quote of a ticker; before that there is no ticker."""
    key = f"orderflow:quotes:{ticker}"
    stamps = [p.stamp for p in context.broker.done if p.key == key and p.written_ms > from_ms - 100]
    return max(from_ms, min(stamps, default=from_ms))


def _recovery_seconds(context: FaultContext, end_ms: float, *, is_empty: bool) -> float:
    """Return how long after an instant each ticker showed a tick that began after it."""
    longest = 0.0
    due_ms = end_ms - SETTLE_MS
    for ticker in context.tickers:
        mine = [s for s in context.sampler.samples if s.ticker == ticker]
        before = max((s.due_ms for s in mine if s.due_ms <= s.at_ms <= end_ms), default=0)
        after = [
            s.at_ms for s in mine if s.at_ms > end_ms and s.at_ms >= s.due_ms > max(before, due_ms)
        ]
        since_ms = _first_quote_ms(context, ticker, end_ms) if is_empty else end_ms
        # Where the settle time grows, no tick is published until its `as_of` has caught up.
        lags = [s.lag_ms for s in mine if s.at_ms <= end_ms][-1:] or [0]
        since_ms += max([0, *(s.lag_ms - lags[0] for s in mine if s.at_ms in after[:1])])
        longest = max(longest, (min(after) - since_ms) / 1000.0 if after else float("inf"))
    return longest
