"""Measure changes over a history: columns of numbers, oldest first."""

from collections.abc import Sequence
from typing import Annotated, Any

from pydantic import Field

from app.analysis.bars import SECOND_MS
from app.analysis.metric_table import MID, SHOWN
from app.analysis.metrics import compute_metrics
from app.answers.durations import age
from app.answers.history_argument import DEFAULT_HISTORY
from app.answers.reader import Reader
from app.answers.schema import (
    Flags,
    Known,
    Number,
    Reply,
    flags_of,
    plain,
    rounded,
    seconds_of,
    significant,
)
from app.answers.ticker_read import SecondTable
from app.answers.ticker_text import id_line, nothing_odd
from app.answers.utc_times import as_of_text
from app.core.arguments import check_range, check_words
from app.core.errors import NoAnswer
from app.core.words import distinct, find_name
from app.storage.published import EvidenceClass, Value

MIN_POINTS, MAX_POINTS = 2, 60
MAX_FIELDS = 8
DEFAULT_FIELDS = (MID, "spread_bps", "avg_bid_size", "avg_ask_size", "ofi")
FIELDS = (MID, *(row.name for row in SHOWN if not row.words))

Column = Annotated[
    list[Number | None], Field(json_schema_extra={"items": {"type": ["number", "null"]}})
]


class Series(Reply):
    """Columns of equal length: value i measures the step that ends at first_end + i steps."""

    ticker: str
    now: Annotated[int, Field(description="epoch ms")]
    asked_at: Annotated[int | None, Field(description="now is an earlier moment")] = None
    as_of: Annotated[int, Field(description="epoch ms, end of the last step")]
    age_seconds: Number
    newest_quote_age_seconds: Number
    history_seconds: int
    covered_seconds: Known = None
    evidence_class: EvidenceClass
    flags: Flags = []
    note: str | None = None
    quality: Annotated[dict[str, int], Field(description="odd records by name")] = {}
    first_end: Annotated[int, Field(description="epoch ms")]
    step_seconds: int
    columns: Annotated[dict[str, Column], Field(description="by field; null: not known")]

    def as_text(self) -> str:
        """Return one line for each field."""
        ago = "ago" if self.asked_at is None else "before"
        head = [
            f"{self.ticker}: last {self.history_seconds} s",
            f"as of {age(self.age_seconds)} ago"
            if self.asked_at is None
            else as_of_text(self.as_of, self.asked_at),
            f"quote {age(self.newest_quote_age_seconds)} {ago}",
            f"class {self.evidence_class}",
            *(flag.upper() for flag in self.flags),
        ]
        if self.covered_seconds is not None:
            head.insert(1, f"covered {self.covered_seconds} s")
        odd = ", ".join(f"{name} {count}" for name, count in self.quality.items())
        first_age = (self.now - self.first_end) / SECOND_MS
        return "\n".join(
            [
                ", ".join(head),
                *([f"note: {self.note}"] if self.note else []),
                f"steps of {self.step_seconds} s, the first ends {age(first_age)} {ago}",
                *(
                    f"{name}: {' '.join(map(_number_text, values))}"
                    for name, values in self.columns.items()
                ),
                f"quality: {odd or nothing_odd(self.flags)}",
                *id_line(self.answer_id),
            ]
        )


def _number_text(value: Number | None) -> str:
    return "-" if value is None else plain(value)


def series(  # noqa: PLR0913, PLR0917 - the tool's arguments
    reader: Reader,
    ticker: str,
    fields: Sequence[str] = DEFAULT_FIELDS,
    history: str = DEFAULT_HISTORY,
    points: int = 12,
    as_of: str = "",
) -> Series:
    """Measure `fields` over each of about `points` equal steps of the last `history`.

    `as_of` asks for the steps up to an earlier moment. Raises `BadQuestion`, `BadTicker`,
    `BadHistory`, `BadMoment`, `NoAnswer` or `StoreUnavailable`.
    """
    fields = distinct(find_name(field, FIELDS) or field for field in fields) or DEFAULT_FIELDS
    check_words("fields", fields, FIELDS, MAX_FIELDS)
    check_range("points", points, MIN_POINTS, MAX_POINTS)
    snapshot = reader.snapshot(
        ticker,
        reader.past.parse_history(history),
        include_patterns=False,
        at_ms=reader.past.parse_moment(as_of),
    )
    name = snapshot.ticker
    if snapshot.as_of_ms is None:
        raise NoAnswer(f"{name}: warming: {snapshot.cause}; ask again in some seconds")
    seconds, as_of_ms = snapshot.history_seconds, snapshot.as_of_ms
    step = -(-seconds // min(points, seconds))
    ends = list(range(as_of_ms, as_of_ms - seconds * SECOND_MS, -step * SECOND_MS))[::-1]
    table = reader.table(name, as_of_ms, seconds + step)
    rows = [measured(table, end, step) for end in ends]
    covered: Any = snapshot.metrics.get("covered_seconds")
    return Series(
        ticker=name,
        now=round(snapshot.now_ms),
        asked_at=None if snapshot.asked_at_ms is None else round(snapshot.asked_at_ms),
        as_of=as_of_ms,
        age_seconds=seconds_of(snapshot.now_ms - as_of_ms),
        newest_quote_age_seconds=seconds_of(snapshot.now_ms - snapshot.newest_quote_ms),
        history_seconds=seconds,
        covered_seconds=significant(covered, 6),
        evidence_class=snapshot.evidence_class,
        flags=flags_of(snapshot),
        note=snapshot.cause,
        quality=dict(snapshot.quality.counts),
        first_end=ends[0],
        step_seconds=step,
        columns={field: [_number(field, row.get(field)) for row in rows] for field in fields},
    )


def measured(table: SecondTable, end_ms: int, seconds: int) -> dict[str, Value]:
    """Measure the `seconds` up to `end_ms`, the mid at their end included."""
    [window] = table.bars.windows(end_ms, (seconds,))
    metrics = compute_metrics(window, table.tick_size)
    bid, ask = metrics.get("bid_price"), metrics.get("ask_price")
    if window.end.mid2 and isinstance(bid, (int, float)) and isinstance(ask, (int, float)):
        metrics[MID] = (bid + ask) / 2
    return metrics


def _number(name: str, value: Value | None) -> Number | None:
    if value is None or isinstance(value, str):
        return None
    number = rounded(name, value)
    return number if not isinstance(number, str) else None
