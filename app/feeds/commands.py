"""`orderflow feed`: publish records to Redis as a broker does."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from threading import Event
from typing import Any

import click
from redis import Redis, RedisError
from redis.exceptions import RedisClusterException
from tqdm import tqdm

from app.core import logs
from app.core.arguments import Seconds
from app.core.clock import now_ms
from app.core.errors import BadTicker, TapeError
from app.core.outage_log import OutageLog
from app.core.refusals import is_unavailable
from app.core.settings import Settings, settings
from app.core.tickers import parse_tickers
from app.feeds.formats import format_option
from app.feeds.publish import Backoff, RecordPublisher, ScheduledRecord, log, publish_when_due
from app.feeds.replay import Replay, ReplayPass, find_tapes, read_tapes
from app.feeds.simulate import (
    DEFAULT_TICKERS,
    TAPE_START_MS,
    LabelCallback,
    TickerSimulation,
    append_label,
    backfill_start,
    scheduled_records,
    write_labels,
    write_tape,
)
from app.feeds.simulation import Label
from app.feeds.stopping import stop_on_signals
from app.feeds.tape import Tape
from app.feeds.tape_clock import stamps_option
from app.storage.keys import Keys
from app.storage.redis_client import connect

TAPE_SECONDS = 3600


@click.group()
def feed() -> None:
    """Publish records, as a broker would; `app/feeds/group.py` adds others."""


@feed.command()
@click.argument(
    "files", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path)
)
@click.option(
    "--ticker",
    help="Name of the one tape's ticker, or of one in a file of several; else as the file has it.",
)
@click.option(
    "--speed",
    type=click.FloatRange(min=0, min_open=True),
    default=1.0,
    show_default=True,
    help="Other than 1: stamps come so much closer together, from the tape's first second on.",
)
@click.option("--loop", is_flag=True, help="Begin again at the end, with a new shift; seq goes on.")
@stamps_option
@format_option
def replay(  # noqa: PLR0913 - click hands over each option
    files: tuple[Path, ...],
    ticker: str | None,
    speed: float,
    stamps: str | None,
    form: str | None,
    *,
    loop: bool,
) -> None:
    """Publish tapes as if they happened now.

    Each FILE is NAME.quotes.csv[.gz]; NAME.trades.csv[.gz] beside it is played along. Databento's
    .dbn[.zst] files are read as they are. Stamps are shifted by a whole number of seconds, which
    is printed as shift_ms=N.
    """
    try:
        tapes = read_tapes(find_tapes(files, ticker, form), stamps)
    except (TapeError, BadTicker) as error:
        raise click.ClickException(str(error)) from error
    for name, tape in tapes.items():
        if tape.rejected:
            click.echo(f"ticker={name} left_out={dict(tape.rejected)}")
        if tape.unknown_aggressors:
            click.echo(f"ticker={name} unknown_aggressor={tape.unknown_aggressors}")
    _publish_replay(tapes, speed=speed, loop=loop)


def _publish_replay(tapes: dict[str, Tape], *, speed: float, loop: bool) -> None:
    config = settings()
    logs.set_up(config)
    total = None if loop else sum(len(tape.records) for tape in tapes.values())
    with stop_on_signals() as stop, connect(config) as redis, _progress(total) as bar:
        publisher = RecordPublisher(redis, config)
        publisher.describe_feed("replayed", tapes)
        stream = Replay(now_ms, _echo_pass, speed, loop).scheduled_records(tapes)
        publish_when_due(_count_records(stream, bar), publisher, stop)
    _echo_totals(publisher)


def _echo_pass(lap: ReplayPass) -> None:
    with tqdm.external_write_mode():
        click.echo(
            f"shift_ms={lap.shift_ms} ticker={lap.ticker} records={lap.records} lap={lap.number}"
        )


@feed.command()
@click.option(
    "--tickers",
    default=",".join(DEFAULT_TICKERS),
    show_default=True,
    help="With commas between them; a name not among these gets a price of its own.",
)
@click.option(
    "--seed", default=0, show_default=True, help="The same seed and start give the same records."
)
@click.option(
    "--seconds",
    type=Seconds(min=1),
    help=f"How long; else until Ctrl-C, and {TAPE_SECONDS} with --tape.",
)
@click.option(
    "--backfill-seconds",
    type=Seconds(min=0),
    default=330,
    show_default=True,
    help="How much past to write at the start.",
)
@click.option(
    "--labels",
    type=click.Path(dir_okay=False, path_type=Path),
    help="File for what was planted, as JSON lines.",
)
@click.option("--no-trades", is_flag=True, help="Quotes only.")
@click.option(
    "--tape",
    "folder",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder for tapes and labels.csv, written at once instead of publishing.",
)
def simulate(  # noqa: PLR0913 - click hands over each option
    tickers: str,
    *,
    seed: int,
    seconds: int | None,
    backfill_seconds: int,
    labels: Path | None,
    no_trades: bool,
    folder: Path | None,
) -> None:
    """Publish simulated books with planted icebergs, absorptions, walls, sweeps and drifts."""
    names = _tickers(tickers)
    if folder is not None:
        length = seconds or TAPE_SECONDS
        _write_tapes(
            folder,
            [TickerSimulation(name, seed, TAPE_START_MS, length, not no_trades) for name in names],
        )
        return
    with ExitStack() as stack:
        on_label = _label_writer(stack, labels)
        _simulate_live(names, seed, seconds, backfill_seconds, on_label, with_trades=not no_trades)


def _tickers(text: str) -> list[str]:
    try:
        return parse_tickers(text)
    except BadTicker as error:
        raise click.BadParameter(str(error), param_hint="--tickers") from error


def _label_writer(stack: ExitStack, path: Path | None) -> LabelCallback:
    if path is None:
        return lambda _ticker, _label: None
    file = stack.enter_context(path.open("w"))
    return lambda ticker, label: append_label(file, ticker, label)


def _simulate_live(  # noqa: PLR0913 - the options
    names: list[str],
    seed: int,
    seconds: int | None,
    backfill_seconds: int,
    on_label: LabelCallback,
    *,
    with_trades: bool,
) -> None:
    config = settings()
    logs.set_up(config)
    with stop_on_signals() as stop, connect(config) as redis:
        publisher = RecordPublisher(redis, config)
        publisher.describe_feed("simulated", names)
        starts = _start_times(redis, config, names, backfill_seconds, stop)
        end_ms = None if seconds is None else int(now_ms()) + 1000 * seconds
        simulations = [
            TickerSimulation(
                name,
                seed,
                start,
                None if end_ms is None else max(0, (end_ms - start) // 1000),
                with_trades,
            )
            for name, start in starts.items()
        ]
        click.echo(
            f"simulating {', '.join(starts)} with {backfill_seconds} s of past; Ctrl-C ends it"
        )
        publish_when_due(scheduled_records(simulations, on_label), publisher, stop)
    _echo_totals(publisher)


def _start_times(
    redis: Redis, config: Settings, names: list[str], backfill_seconds: int, stop: Event
) -> dict[str, int]:
    """Wait for Redis and return the start of each ticker's backfill."""
    keys, backoff = Keys(cluster=config.cluster), Backoff()
    outage = OutageLog(log, database=config.redis_database)
    while not stop.is_set():
        try:
            starts = {
                name: backfill_start(redis, keys, name, now_ms(), backfill_seconds)
                for name in names
            }
        except (RedisError, RedisClusterException) as error:
            if not is_unavailable(error):
                raise
            outage.note_error(error)
            backoff.note_failure()
            stop.wait(backoff.pause_seconds)
            continue
        outage.note_success()
        return starts
    return {}


def _write_tapes(folder: Path, simulations: list[TickerSimulation]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    labels: dict[str, list[Label]] = {}
    with _progress(None) as bar:
        for simulation in simulations:
            labels[simulation.ticker] = write_tape(folder, simulation, lambda _: bar.update())
    write_labels(folder / "labels.csv", labels)
    click.echo(
        f"wrote {len(simulations)} tapes and {sum(map(len, labels.values()))} labels to {folder}"
    )


def _progress(total: int | None) -> "tqdm[Any]":
    # `disable=None` shows the bar on a terminal only.
    return tqdm(total=total, unit=" records", disable=None, leave=False)


def _count_records(
    stream: Iterator[ScheduledRecord], bar: "tqdm[Any]"
) -> Iterator[ScheduledRecord]:
    for record in stream:
        yield record
        bar.update()


def _echo_totals(publisher: RecordPublisher) -> None:
    unsent = f", {publisher.pending_count} not sent" if publisher.pending_count else ""
    click.echo(f"published {publisher.published_count} records{unsent}")
