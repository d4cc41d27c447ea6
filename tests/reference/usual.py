"""Contract section 9: ranks of metrics, and return periods of events, from all of the past."""

import math
from collections.abc import Callable, Iterator

import numpy as np

from tests.reference.lives import GO_ON_MS, Happening, Lives, Shown
from tests.reference.past import Past, ceil_second

RANKED = (
    "spread_bps",
    "queue_imbalance",
    "ofi",
    "log_ofi",
    "trade_imbalance",
    "signed_volume",
    "realized_volatility_bps",
    "quotes_per_second",
    "trade_count",
    "size_turnover",
    "avg_bid_size",
    "avg_ask_size",
    "effective_spread_bps",
)
RATIOS = ("queue_imbalance", "trade_imbalance")
HALF_LIFE_S = {10: 1800, 60: 1800, 300: 7200}
PAST_MS = 1_200_000
SAMPLES = 300
COVERED = 0.9
RETURN_HALF_LIFE_MS = 10_800_000
RETURN_PAST_MIN = 30

Fields = dict[str, float | int | str]
MetricsAt = Callable[[int, int], Fields]


def bin_of(name: str, value: float, fields: Fields) -> int:
    """Return the bin that a value is ranked by; sums whose terms cancel to nothing are 0."""
    nothing = 1e-9 * {
        "ofi": _sum(fields, "avg_bid_size", "avg_ask_size"),
        "signed_volume": _sum(fields, "buy_volume", "sell_volume"),
        "log_ofi": 1.0,
        "effective_spread_bps": 1.0,
        "queue_imbalance": 1.0,
        "trade_imbalance": 1.0,
    }.get(name, 0.0)
    size, sign = abs(value), 1 if value > 0 else -1
    if size <= nothing:
        return 0
    if name in RATIOS:
        return sign * (33 if size > 1 - 1e-9 else 1 + math.floor(32 * size + 1e-6))
    return sign * (100_000 + math.floor(8 * math.log2(size) + 1e-6))


def _sum(fields: Fields, *names: str) -> float:
    return sum(float(fields.get(name, 0.0)) for name in names)


class Ranked:
    """The ranks of one ticker's windows."""

    def __init__(self, past: Past, metrics_at: MetricsAt) -> None:
        self.past = past
        self.metrics_at = metrics_at
        self.by_second: dict[tuple[int, int], dict[str, int]] = {}

    def bins(self, second: int, window_seconds: int) -> dict[str, int]:
        """Return the bins of a second's metrics; none of a window that is not covered."""
        key = second, window_seconds
        if key not in self.by_second:
            fields = self.metrics_at(second, window_seconds)
            covered = float(fields.get("covered_seconds", 0)) >= COVERED * window_seconds
            known = [name for name in RANKED if name in fields] if covered else []
            self.by_second[key] = {
                name: bin_of(name, float(fields[name]), fields) for name in known
            }
        return self.by_second[key]

    def seconds_before(self, as_of: int) -> Iterator[int]:
        """List the whole seconds before one in which the ticker did not sleep."""
        for stretch in self.past.stretches:
            yield from (second for second in stretch.seconds() if second < as_of)

    def ranks(self, as_of: int, window_seconds: int) -> dict[str, float]:
        """Return the share of earlier seconds with a smaller value, equal ones half."""
        if as_of - self.past.records[0].stamp < PAST_MS:
            return {}
        if not any(as_of in stretch.seconds() for stretch in self.past.stretches):
            return {}
        seconds = list(self.seconds_before(as_of))
        ages = np.array([(as_of - second) / 1000 for second in seconds])
        weights = 2.0 ** (-ages / HALF_LIFE_S[window_seconds])
        found = {}
        for name, value in self.bins(as_of, window_seconds).items():
            others = np.array(
                [self.bins(second, window_seconds).get(name, np.nan) for second in seconds]
            )
            total = weights[~np.isnan(others)].sum()
            if total >= SAMPLES:
                below, equal = weights[others < value].sum(), weights[others == value].sum()
                found[name] = float((below + equal / 2) / total)
        return found


def return_period(past: Past, lives: Lives, event: Happening) -> tuple[float, bool] | None:
    """Return the minutes between events like one as its peak last grew; whether it is the first."""
    shown = event.history[-1]
    at = ceil_second(shown.peaked[0])
    stretches = [(past.records[s.first].stamp, min(float(s.sleep), at)) for s in past.stretches]
    observed = [(start, end) for start, end in stretches if end > start]
    minutes = sum(end - start for start, end in observed) / 60_000
    if minutes < RETURN_PAST_MIN:
        return None
    # The integral of 2^(-age/half-life) over all that was observed.
    mean_life = RETURN_HALF_LIFE_MS / math.log(2) / 60_000
    decayed = sum(mean_life * (_left(at - end) - _left(at - start)) for start, end in observed)
    k = 0.0
    for other in lives.events:
        if other.noticed_at < event.noticed_at and not _was_merged(other, at):
            peak, mine = _peak_at(other, shown), np.float32(shown.statistic)
            share = 1.0 if peak > mine else 0.5 if peak == mine else 0.0
            k += share * _left(at - other.noticed_at)
    return min(decayed / (k + 0.5), minutes), k == 0


def _was_merged(other: Happening, at: int) -> bool:
    """Tell whether an event had gone into another one, for good, before a second."""
    end = other.history[-1]
    merged = end.close_reason == "merged" and end.closed_at is not None
    return merged and ceil_second((end.closed_at or 0.0) + GO_ON_MS) < at


def _left(age_ms: float) -> float:
    return float(2.0 ** (-age_ms / RETURN_HALF_LIFE_MS))


def _peak_at(other: Happening, shown: Shown) -> np.float32:
    """Return an earlier event's greatest statistic when another's peak came to be."""
    known = [one.statistic for one in other.history if one.peaked <= shown.peaked]
    return np.float32(known[-1])
