"""Prometheus metrics of the analysis: what all workers counted in Redis, read when asked for.

One place for any number of processes and machines: the workers add to one hash, so that nothing
has to be gathered from files or from each of them. Names and labels are only those listed here.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, get_args

import redis
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from app.answers.diagnosis import Heartbeat
from app.answers.reader import store_errors
from app.core import clock
from app.core.errors import StoreUnavailable
from app.core.settings import Settings
from app.storage import keys
from app.storage.active_tickers import ACTIVE_MS
from app.storage.counters import LAG_BOUNDS_SECONDS, LAG_COUNTERS, LAG_SUM_COUNTER
from app.storage.published import QUALITY_COUNTS, Number, PatternType, read_number

TICK_OUTCOMES = ("published", "done", "late", "skipped", "overtaken", "idle", "failed")
REJECTIONS = (
    "not_json", "missing_number", "boolean_number", "not_finite", "negative_size",
    "non_positive_price", "out_of_range", "zero_size", "too_long",
)  # fmt: skip
_ODD = sorted(QUALITY_COUNTS - {*REJECTIONS, "late", "rejected", "behind_seconds"})

Counts = Mapping[str, Number]


class AnalysisCollector(Collector):
    """Reads counters and signs of life at each scrape; without Redis it says only that."""

    def __init__(self, client: redis.Redis, settings: Settings) -> None:
        self._client = client
        # `Any`: redis-py's annotations promise an awaitable beside every answer.
        self._redis: Any = client
        self._settings = settings

    def describe(self) -> list[Metric]:
        """Describe nothing: registering must not ask Redis."""
        return []

    def collect(self) -> Iterator[Metric]:
        """Yield what is known now."""
        try:
            with store_errors(self._client):
                yield from self._known()
        except StoreUnavailable:
            yield _gauge("orderflow_redis_up", "Whether Redis answers.", 0)

    def _known(self) -> list[Metric]:
        now_ms = clock.now_ms()
        pipe = self._redis.pipeline(transaction=False)
        pipe.hgetall(keys.COUNTERS)
        pipe.hgetall(keys.HEARTBEAT)
        pipe.zcount(keys.TICKERS, now_ms - ACTIVE_MS, "+inf")
        counters, pulse, active = pipe.execute()
        counts = _counts(counters)
        return [
            _gauge("orderflow_redis_up", "Whether Redis answers.", 1),
            _gauge("orderflow_active_tickers", "Tickers with a quote in the last 300 s.", active),
            *_ages(Heartbeat.from_fields(pulse, now_ms)),
            *_totals(counts),
            _lag(counts),
        ]


def _counts(fields: Mapping[bytes, bytes]) -> dict[str, Number]:
    named = ((name.decode("ascii", "replace"), read_number(text)) for name, text in fields.items())
    return {name: count for name, count in named if count is not None and count >= 0}


def _gauge(name: str, meaning: str, value: float) -> Metric:
    return GaugeMetricFamily(name, meaning, value=value)


def _ages(pulse: Heartbeat) -> Iterator[Metric]:
    for what, stamp_ms in (("fanout", pulse.fanout_ms), ("tick", pulse.tick_ms)):
        if stamp_ms is not None:
            age_seconds = max(0.0, (pulse.now_ms - stamp_ms) / 1000)
            name = f"orderflow_newest_{what}_age_seconds"
            yield _gauge(name, f"Time since the `as_of` of the newest {what}.", age_seconds)


def _totals(counts: Counts) -> Iterator[Metric]:
    yield CounterMetricFamily(
        "orderflow_fanouts", "Fan-outs let through.", value=counts.get("fanouts", 0)
    )
    yield _by(
        "orderflow_ticks", "Ticks by what became of them.", "outcome", TICK_OUTCOMES, "ticks_",
        counts,
    )  # fmt: skip
    yield _by(
        "orderflow_records", "Records folded, and late ones.", "kind", ("folded", "late"),
        "records_", counts,
    )  # fmt: skip
    yield _by(
        "orderflow_records_rejected", "Records that can't be used.", "reason", REJECTIONS,
        "records_", counts,
    )  # fmt: skip
    yield _by(
        "orderflow_records_odd", "Records used that were odd.", "oddity", _ODD, "records_", counts
    )
    yield _by(
        "orderflow_events", "Pattern events opened.", "type", get_args(PatternType), "events_",
        counts,
    )  # fmt: skip


def _by(  # noqa: PLR0913, PLR0917 - what a family is made of
    name: str, meaning: str, label: str, values: Sequence[str], start: str, counts: Counts
) -> Metric:
    """Describe a family of totals, zeros included, so that a rate is known from the first on."""
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
