"""What a status and metrics say of the history."""

from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from app.answers.durations import age, ago
from app.storage.history_report import PROBLEMS, HistoryReport

_BYTES_A_MB = 1_000_000


def history_line(report: HistoryReport, now_ms: float) -> str:
    """Return how far the history is written, and how much of it there is."""
    newest = f"newest second {ago(report.newest_ms, now_ms)}" if report.newest_ms else "no second"
    parts = [f"{report.tickers} tickers", newest, f"{report.bytes / _BYTES_A_MB:.0f} MB"]
    if report.lost_seconds:
        parts.append(f"lost before they were written: {age(report.lost_seconds)}")
    if report.lost_events:
        parts.append(f"events lost: {report.lost_events}")
    if report.set_aside:
        parts.append(f"unreadable files set aside: {report.set_aside}")
    return f"history: {', '.join(parts)}"


def history_troubles(report: HistoryReport, now_ms: float) -> Iterator[str]:
    """Yield a line for what keeps the history from being written."""
    if report.is_gone(now_ms):
        yield f"history is not written: last sign of its writer {ago(report.alive_at, now_ms)}"
    elif report.problem:
        lasts = age((now_ms - report.problem_since) / 1000)
        yield f"history is not written for {lasts}: {PROBLEMS[report.problem]}"


def history_metrics(report: HistoryReport, now_ms: float) -> Iterator[Metric]:
    """Yield whether the history is written, and what it lost."""
    is_written = not report.problem and not report.is_gone(now_ms)
    yield GaugeMetricFamily(
        "orderflow_history_up", "Whether the history is written.", value=int(is_written)
    )
    yield GaugeMetricFamily(
        "orderflow_history_bytes", "Bytes of the history's files.", value=report.bytes
    )
    yield CounterMetricFamily(
        "orderflow_history_lost_seconds",
        "Seconds of tickers that Redis forgot before they were written.",
        value=report.lost_seconds,
    )
    yield CounterMetricFamily(
        "orderflow_history_lost_events",
        "Events that Redis forgot before they were written.",
        value=report.lost_events,
    )
