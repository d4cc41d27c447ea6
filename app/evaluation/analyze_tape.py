"""Analyse a tape without Redis: write what the ticks would have published."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import click
import msgspec
from tqdm import tqdm

from app.analysis.bars import SECOND_MS
from app.analysis.engine import Engine
from app.analysis.outcome_table import outcome_rows
from app.analysis.outcomes import HORIZON_SECONDS
from app.analysis.patterns.events import Event
from app.analysis.records import Batch
from app.analysis.results import TickResult
from app.analysis.session import SessionFields
from app.analysis.state import ENGINE
from app.analysis.trading_hours import UTC_DAYS, TradingHours
from app.analysis.windows import WINDOWS
from app.core.arguments import INTERVAL_SECONDS, Seconds
from app.core.errors import OrderFlowError
from app.core.settings import settings
from app.core.tickers import parse_ticker
from app.feeds.formats import format_option
from app.feeds.tape import Tape
from app.feeds.tape_clock import read_usable_tape, stamps_option
from app.storage.session_calendars import hours_of
from app.storage.tick import codec

_json = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True)
class Ticks:
    """The ticks of a tape: from the first whole interval after its first record to the last's."""

    first: int
    last: int
    interval_ms: int

    @classmethod
    def of(cls, tape: Tape, interval_ms: int) -> "Ticks":
        """Return the ticks of a tape that has records."""
        first = math.ceil(tape.records[0].stamp / interval_ms) * interval_ms
        last = math.ceil(tape.records[-1].stamp / interval_ms) * interval_ms
        return cls(first, last, interval_ms)

    def __iter__(self) -> Iterator[int]:
        return iter(range(self.first, self.last + 1, self.interval_ms))

    def __len__(self) -> int:
        return (self.last - self.first) // self.interval_ms + 1


def tick_results(engine: Engine, tape: Tape, ticks: Ticks) -> Iterator[TickResult]:
    """Fold a tape tick by tick and yield each tick's result."""
    place = 0
    faults = sorted(tape.faults)
    fault_place = gap_place = 0
    for as_of in ticks:
        start, fault_start, gap_start = place, fault_place, gap_place
        while place < len(tape.records) and tape.records[place].stamp <= as_of:
            place += 1
        while fault_place < len(faults) and faults[fault_place][0] <= as_of:
            fault_place += 1
        while gap_place < len(tape.gaps) and tape.gaps[gap_place][1] <= as_of:
            gap_place += 1
        batch = Batch(
            tape.records[start:place],
            faults[fault_start:fault_place],
            tape.digits,
            gaps=tape.gaps[gap_start:gap_place],
        )
        known = len(batch.faults)
        result = engine.advance(batch, as_of)
        # What the engine left out: prices that the ticker's unit can't be made to hold.
        tape.faults.extend(batch.faults[known:])
        yield result


def write_metrics(out: IO[bytes], analysis: TickResult) -> None:
    """Write a line per window."""
    behaviors = msgspec.Raw(_json(analysis.behaviors))
    for window in WINDOWS:
        fields: dict[str, Any] = {"window": window, **analysis.metrics[window]}
        fields |= codec.rank_fields(analysis.ranks[window])
        fields["behaviors"] = behaviors
        sweep = analysis.last_sweep[window]
        if sweep is not None:
            fields["last_sweep"] = codec.published_event(sweep)
        fields["quality"] = analysis.quality[window]
        fields["engine"] = ENGINE
        out.write(_json(fields) + b"\n")


def write_past(out: Path, sessions: list[SessionFields], engine: Engine) -> None:
    """Write `session.jsonl`, a line a session, and `outcomes.jsonl`, a line a type, side, horizon.

    The last session is as of the tape's end, the outcomes hold what was complete by then.
    """
    state = engine.state
    state.outcomes.close_blocks()
    with (out / "session.jsonl").open("wb") as lines:
        for fields in [*sessions, state.session.fields(state.as_of, state.digits)]:
            lines.write(_json(fields) + b"\n")
    with (out / "outcomes.jsonl").open("wb") as lines:
        for horizon in range(len(HORIZON_SECONDS)):
            for found in outcome_rows(state.outcomes.totals, horizon):
                key = {"type": found.type, "side": found.side, "seconds": found.horizon_seconds}
                lines.write(_json(key | found.row) + b"\n")


def analyze_tape(
    ticker: str,
    tape: Tape,
    out: Path,
    interval_ms: int = SECOND_MS,
    hours: TradingHours = UTC_DAYS,
) -> int:
    """Write metrics, patterns, levels, sessions and outcomes; return the number of ticks."""
    out.mkdir(parents=True, exist_ok=True)
    engine = Engine.new(ticker, hours)
    sessions: list[SessionFields] = []
    events: dict[str, Event] = {}
    ticks = Ticks.of(tape, interval_ms)
    with (out / "metrics.jsonl").open("wb") as metrics:
        for analysis in tqdm(
            tick_results(engine, tape, ticks), total=len(ticks), unit="tick", disable=None
        ):
            for error in analysis.failed_detectors.values():
                raise error
            write_metrics(metrics, analysis)
            events.update((event.id, event) for event in analysis.changed_events)
            session = engine.state.session
            if session.ended is not None:
                sessions.append(session.ended)
                session.ended = None
    with (out / "patterns.jsonl").open("w", encoding="utf-8") as patterns:
        for event in sorted(events.values(), key=lambda event: (event.opened_at, event.id)):
            patterns.write(codec.event_json(event) + "\n")
    with (out / "levels.jsonl").open("w", encoding="utf-8") as levels:
        for side in engine.state.levels:
            levels.writelines(codec.level_json(level) + "\n" for level in side.top())
    write_past(out, sessions, engine)
    return len(ticks)


_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command()
@click.option("--quotes", type=_FILE, required=True, help="Tape: quotes, .csv or .csv.gz.")
@click.option("--trades", type=_FILE, help="Tape of trades.")
@click.option("--ticker", required=True, help="Name that the results carry.")
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), required=True)
@click.option(
    "--shift-ms", type=int, default=0, help="Added to every stamp, as `feed replay` does."
)
@click.option(
    "--interval", type=Seconds(*INTERVAL_SECONDS), default=1, help="Seconds from tick to tick."
)
@click.option(
    "--answers",
    type=Seconds(1, 3600),
    help="Write what the tool would have answered, every so many seconds.",
)
@stamps_option
@format_option
def analyze(  # noqa: PLR0913, PLR0917 - one parameter an option
    quotes: Path,
    trades: Path | None,
    ticker: str,
    out: Path,
    shift_ms: int,
    interval: int,
    answers: int | None,
    stamps: str | None,
    form: str | None,
) -> None:
    """Analyse a tape, without Redis, as the ticks would have; answers use a private one.

    Gaps in NAME.gaps.csv beside the quotes, with the columns from and to, count as declared.
    """
    try:
        name = parse_ticker(ticker)
        tape = read_usable_tape(quotes, trades, shift_ms, stamps, form, ticker)
        hours = hours_of(name, settings().calendars)
        ticks = analyze_tape(name, tape, out, interval * SECOND_MS, hours)
        if answers is not None:
            # Compiling the answers' models takes a while, which others need not wait for.
            from app.evaluation.tape_answers import write_answers  # noqa: PLC0415

            write_answers(name, tape, out, settings(), answers)
    except OrderFlowError as error:
        raise click.ClickException(str(error)) from None
    click.echo(f"{len(tape.records)} records, {ticks} ticks -> {out}", err=True)
    if tape.rejected:
        click.echo(f"left out: {dict(tape.rejected)}", err=True)
    if tape.unknown_aggressors:
        click.echo(f"unknown aggressors: {tape.unknown_aggressors}", err=True)
