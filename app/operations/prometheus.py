"""Prometheus metrics of the analysis, read from Redis at each scrape.

All workers on all machines add to one hash in Redis, so that one process can serve the totals.
Names and labels are only those listed here.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import redis
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from app.analysis.pattern_table import PATTERN_TYPES
from app.analysis.quality_table import ACCEPTED_NAMES, MIS_STAMPED_NAMES, REJECTED_NAMES
from app.answers.diagnosis import Heartbeat
from app.answers.freshness import is_ahead
from app.core import clock
from app.core.errors import StoreUnavailable
from app.core.settings import Settings
from app.operations.history_status import history_metrics
from app.operations.status import HealthInspector
from app.storage import keys
from app.storage.active_tickers import ACTIVE_MS
from app.storage.counters import LAG_BOUNDS_SECONDS, LAG_COUNTERS, LAG_SUM_COUNTER
from app.storage.feed_lags import FeedLags, is_delayed
from app.storage.feeds import Feeds, is_down
from app.storage.history_report import HistoryReport, read_report
from app.storage.keys import Keys
from app.storage.newcomers import read_waiting
from app.storage.published import FeedRecord, Number, read_number
from app.storage.store_errors import store_errors

TICK_OUTCOMES = (
    *("published", "done", "late", "skipped", "overtaken", "outdated", "waiting", "idle"),
    *("failed", "ahead"),
)
_REASONS = (*REJECTED_NAMES, *MIS_STAMPED_NAMES)
# What is true of the keys at a tick is no total.
_ODDITIES = sorted(ACCEPTED_NAMES - {"late"})

# A source is a word of the broker's: labels without end would be series without end.
MAX_SOURCES = 20

Counts = Mapping[str, Number]


class AnalysisCollector(Collector):
    """Reads counters and heartbeats at each scrape; without Redis, only that it is down."""

    def __init__(self, client: redis.Redis, settings: Settings) -> None:
        self._client = client
        # `Any`: redis-py's return types include an awaitable.
        self._redis: Any = client
        self._settings = settings
        self._inspector = HealthInspector(client, settings)

    def describe(self) -> list[Metric]:
        """Return no descriptions, since registering must not read from Redis."""
        return []

    def collect(self) -> Iterator[Metric]:
        """Yield the current metrics."""
        try:
            with store_errors(self._client):
                yield from self._metrics()
        except StoreUnavailable:
            yield _gauge("orderflow_redis_up", "Whether Redis answers.", 0)

    def _metrics(self) -> list[Metric]:
        now_ms = clock.now_ms()
        pipe = self._redis.pipeline(transaction=False)
        pipe.hgetall(keys.COUNTERS)
        pipe.hgetall(keys.HEARTBEAT)
        pipe.zcount(keys.TICKERS, now_ms - ACTIVE_MS, "+inf")
        counters, pulse, active = pipe.execute()
        waiting = read_waiting(self._redis, 1).number
        lags = FeedLags(self._redis).all().values()
        delayed = sum(map(is_delayed, lags))
        counts = _counts(counters)
        return [
            _gauge("orderflow_redis_up", "Whether Redis answers.", 1),
            _gauge("orderflow_active_tickers", "Tickers active in the last 300 s.", active),
            _gauge(
                "orderflow_stuck_tickers",
                "Active tickers without a fresh tick.",
                len(self._inspector.stale_tickers()),
            ),
            _gauge(
                "orderflow_lagging_tickers",
                "Tickers whose records keep coming late, by up to 30 s.",
                len(lags) - delayed,
            ),
            _gauge("orderflow_waiting_tickers", "New tickers that wait to enter.", waiting),
            _gauge("orderflow_delayed_tickers", "Tickers with a delayed feed.", delayed),
            *_feeds(Feeds(self._client, Keys(cluster=self._settings.cluster)).all(now_ms), now_ms),
            *_history(read_report(self._client), now_ms),
            *_ages(Heartbeat.from_fields(pulse, now_ms), self._settings.interval_ms),
            *_totals(counts),
            _lag(counts),
        ]


def _history(report: HistoryReport | None, now_ms: float) -> Iterator[Metric]:
    if report is not None:
        yield from history_metrics(report, now_ms)


def _feeds(feeds: Mapping[str, FeedRecord], now_ms: float) -> Iterator[Metric]:
    """Yield the number of tickers by source and scope of their feeds, and of dead feeds."""
    described = GaugeMetricFamily(
        "orderflow_feed_tickers",
        "Tickers by what their feeds say of themselves.",
        labels=("source", "scope"),
    )
    down = sum(is_down(feed, now_ms) for feed in feeds.values())
    counts = Counter((feed.source or "", feed.scope or "") for feed in feeds.values())
    for labels, count in counts.most_common(MAX_SOURCES):
        described.add_metric(labels, count)
    yield described
    yield _gauge("orderflow_feeds_down", "Tickers whose feed gives no sign of life.", down)


def _counts(fields: Mapping[bytes, bytes]) -> dict[str, Number]:
    named = ((name.decode("ascii", "replace"), read_number(text)) for name, text in fields.items())
    return {name: count for name, count in named if count is not None and count >= 0}


def _gauge(name: str, meaning: str, value: float) -> Metric:
    return GaugeMetricFamily(name, meaning, value=value)


def _ages(pulse: Heartbeat, interval_ms: int) -> Iterator[Metric]:
    """Yield how old the newest fan-out and tick are, and by how much they are ahead of this clock.

    What is ahead by more than is believed has no age: 0 would look like the best one.
    """
    for what, stamp_ms in (("fanout", pulse.fanout_ms), ("tick", pulse.tick_ms)):
        if stamp_ms is None:
            continue
        age_seconds = (pulse.now_ms - stamp_ms) / 1000
        name = f"orderflow_newest_{what}"
        if not is_ahead(stamp_ms, pulse.now_ms, interval_ms):
            meaning = f"Time since the `as_of` of the newest {what}."
            yield _gauge(f"{name}_age_seconds", meaning, max(0.0, age_seconds))
        meaning = f"How far the newest {what} is ahead of this clock."
        yield _gauge(f"{name}_ahead_seconds", meaning, max(0.0, -age_seconds))


def _totals(counts: Counts) -> Iterator[Metric]:
    yield CounterMetricFamily(
        "orderflow_fanouts", "Fan-outs let through.", value=counts.get("fanouts", 0)
    )
    yield CounterMetricFamily(
        "orderflow_tickers_waited",
        "New tickers that had to wait before they entered.",
        value=counts.get("tickers_waited", 0),
    )
    yield CounterMetricFamily(
        "orderflow_messages_refused",
        "Messages in Celery's queues that were left out.",
        value=counts.get("messages_refused", 0),
    )
    yield _labelled_counter(
        "orderflow_ticks", "Ticks by what became of them.", "outcome", TICK_OUTCOMES, "ticks_",
        counts,
    )  # fmt: skip
    yield _labelled_counter(
        "orderflow_records", "Records folded, and late ones.", "kind", ("folded", "late"),
        "records_", counts,
    )  # fmt: skip
    yield _labelled_counter(
        "orderflow_records_rejected", "Records that can't be used.", "reason", _REASONS,
        "records_", counts,
    )  # fmt: skip
    yield _labelled_counter(
        "orderflow_records_odd",
        "Records used that were odd.",
        "oddity",
        _ODDITIES,
        "records_",
        counts,
    )
    yield _labelled_counter(
        "orderflow_events", "Pattern events opened.", "type", PATTERN_TYPES, "events_",
        counts,
    )  # fmt: skip


def _labelled_counter(  # noqa: PLR0913, PLR0917 - the parts of a family
    name: str, meaning: str, label: str, values: Sequence[str], start: str, counts: Counts
) -> Metric:
    """Return a family of counters, zeros included, so that rates are correct from the start."""
    family = CounterMetricFamily(name, meaning, labels=[label])
    for value in values:
        family.add_metric([value], counts.get(start + value, 0))
    return family


def _lag(counts: Counts) -> Metric:
    total, buckets = 0.0, []
    for name, bound in zip(LAG_COUNTERS, (*LAG_BOUNDS_SECONDS, "+Inf"), strict=True):
        total += counts.get(name, 0)
        buckets.append((str(bound), total))
    return HistogramMetricFamily(
        "orderflow_tick_lag_seconds",
        "Time from a tick's `as_of` to its write.",
        buckets=buckets,
        sum_value=counts.get(LAG_SUM_COUNTER, 0) / 1000,
    )
