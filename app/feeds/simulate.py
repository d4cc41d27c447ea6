"""Simulated tickers as a feed: live records or tape files."""

import csv
import gzip
import io
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from heapq import merge
from pathlib import Path
from typing import Self, TextIO, cast

import msgspec
from redis import Redis

from app.analysis.records import Quote, Record, Trade
from app.core.tickers import file_name_of
from app.feeds.publish import ScheduledRecord
from app.feeds.simulation import PROFILES, Label, profile_of, simulate
from app.feeds.tape_rows import QUOTE_HEADER, TRADE_HEADER, row_of
from app.storage.keys import Keys

DEFAULT_TICKERS = tuple(PROFILES)
TAPE_START_MS = 1_704_205_800_000
"""2024-01-02 14:30 UTC; the start is fixed so that a seed always gives the same tape."""

_LABEL_HEADER = ("ticker", "kind", "side", "start_ms", "end_ms", "price", "size", "form")

LabelCallback = Callable[[str, Label], None]


@dataclass(frozen=True, slots=True)
class TickerSimulation:
    """One ticker's simulation: its start and its length (None: endless)."""

    ticker: str
    seed: int
    start_ms: int
    seconds: int | None
    with_trades: bool = True

    def records(self, on_label: LabelCallback) -> Iterator[Record]:
        """Yield the records in stream order; call `on_label` when a labelled event has ended."""
        profile = profile_of(self.ticker)
        for records, labels in simulate(
            self.ticker, self.seed, self.start_ms, self.seconds, profile
        ):
            for label in labels:
                on_label(self.ticker, label)
            yield from (
                record for record in records if self.with_trades or isinstance(record, Quote)
            )


def scheduled_records(
    simulations: Iterable[TickerSimulation], on_label: LabelCallback
) -> Iterator[ScheduledRecord]:
    """Yield the records of all simulations in the order in which they are due."""
    streams = (_schedule(simulation, on_label) for simulation in simulations)
    return merge(*streams, key=lambda scheduled: scheduled.due_ms)


def _schedule(simulation: TickerSimulation, on_label: LabelCallback) -> Iterator[ScheduledRecord]:
    for record in simulation.records(on_label):
        yield ScheduledRecord(record.stamp, simulation.ticker, record)


def backfill_start(
    redis: Redis, keys: Keys, ticker: str, now_ms: float, backfill_seconds: int
) -> int:
    """Return the start of a ticker's backfill in epoch ms, after the newest record in its keys.

    Otherwise a restarted feed would write a second set of records over the first.
    """
    start_ms = now_ms - 1000.0 * backfill_seconds
    for key in (keys.quotes(ticker), keys.trades(ticker)):
        # redis-py's type for the reply covers all options of the command.
        newest = cast("list[tuple[bytes, float]]", redis.zrange(key, -1, -1, withscores=True))
        start_ms = max([start_ms, *(min(score, now_ms) + 1.0 for _, score in newest)])
    return 1000 * -int(-start_ms // 1000.0)


def append_label(file: TextIO, ticker: str, label: Label) -> None:
    """Append a label as a line of JSON."""
    line = {"ticker": ticker} | msgspec.to_builtins(label)
    file.write(msgspec.json.encode(line).decode() + "\n")
    file.flush()


def write_tape(
    folder: Path, simulation: TickerSimulation, on_record: Callable[[Record], object]
) -> list[Label]:
    """Write a simulation as tape files into `folder` and call `on_record` with each record.

    Returns the labels.
    """
    stem = f"{file_name_of(simulation.ticker)}_seed{simulation.seed}"
    labels: list[Label] = []
    with (
        _CsvFile(folder / f"{stem}.quotes.csv.gz", QUOTE_HEADER) as quotes,
        _CsvFile(folder / f"{stem}.trades.csv.gz", TRADE_HEADER) as trades,
    ):
        for record in simulation.records(lambda _, label: labels.append(label)):
            on_record(record)
            file = trades if isinstance(record, Trade) else quotes
            file.write(row_of(record))
    return labels


def write_labels(path: Path, labels: dict[str, list[Label]]) -> None:
    """Write all tickers' labels as one CSV file."""
    with path.open("w", newline="") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(_LABEL_HEADER)
        for ticker, own in labels.items():
            rows.writerows((ticker, *msgspec.to_builtins(label).values()) for label in own)


class _CsvFile:
    """A gzipped CSV file with the same bytes for the same rows."""

    def __init__(self, path: Path, header: str) -> None:
        # Without the time of writing, a seed always gives the same bytes.
        self._zipped = gzip.GzipFile(path, "wb", mtime=0)
        self._text = io.TextIOWrapper(self._zipped, newline="")
        self.write(header)

    def write(self, row: str) -> None:
        self._text.write(row + "\n")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._text.close()
