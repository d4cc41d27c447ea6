"""`orderflow history`: write the history of all tickers, until Ctrl-C or SIGTERM."""

import signal
from pathlib import Path
from threading import Event
from types import FrameType

import click

from app.core import logs
from app.core.errors import HistoryUnavailable
from app.core.settings import Settings, settings
from app.storage.redis_client import connect
from app.storage.server_clock import ServerClock

STEP_SECONDS = 1.0
NOT_NEEDED_EXIT_CODE = 3
"""There is nothing to do for this process: another one writes, or none is to."""


@click.command()
@click.option("--idle", is_flag=True, help="Wait, rather than end, where there is nothing to do.")
def history(*, idle: bool) -> None:
    """Keep seconds, events and sessions as Parquet files in ORDERFLOW_HISTORY."""
    config = settings()
    logs.set_up(config)
    stop = _stop_on_signals()
    try:
        _write_history(config, stop)
    except HistoryUnavailable as error:
        click.echo(f"orderflow: {error}", err=True)
        if not idle:
            raise SystemExit(NOT_NEEDED_EXIT_CODE) from None
        stop.wait()


def _write_history(config: Settings, stop: Event) -> None:
    """Write until `stop` is set.

    Raises `HistoryUnavailable` where there is no history to be written by this process.
    """
    path = _folder_of(config)
    try:
        from app.history.folder import HistoryFolder  # noqa: PLC0415 - see below
        from app.history.writer import HistoryWriter  # noqa: PLC0415 - needs pyarrow
    except ImportError as error:
        raise HistoryUnavailable(
            f"the history needs pyarrow: pip install 'orderflow[history]' ({error})"
        ) from None
    folder = HistoryFolder(path)
    with connect(config) as client:
        writer = HistoryWriter(folder, client, config, ServerClock(client).now_ms)
        click.echo(f"history in {path}, {config.history_days} days; Ctrl-C ends it")
        try:
            while not stop.is_set():
                writer.step(stop.is_set)
                stop.wait(STEP_SECONDS)
        finally:
            folder.close()


def _folder_of(config: Settings) -> Path:
    if config.history is None:
        raise HistoryUnavailable("no history is kept: ORDERFLOW_HISTORY names its folder")
    return config.history


def _stop_on_signals() -> Event:
    stop = Event()

    def request_stop(_number: int, _frame: FrameType | None) -> None:
        stop.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, request_stop)
    return stop
