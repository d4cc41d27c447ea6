"""`orderflow history`: write the history of all tickers, until Ctrl-C or SIGTERM."""

import signal
from threading import Event
from types import FrameType
from typing import NoReturn

import click

from app.core import logs
from app.core.errors import HistoryUnavailable
from app.core.settings import settings
from app.storage.redis_client import connect
from app.storage.server_clock import ServerClock

STEP_SECONDS = 1.0
NOT_NEEDED_EXIT_CODE = 3
"""There is nothing to do for this process: another one writes, or none is to."""


@click.command()
def history() -> None:
    """Keep seconds, events and sessions as Parquet files in ORDERFLOW_HISTORY."""
    config = settings()
    if config.history is None:
        _refuse("ORDERFLOW_HISTORY is not set: name the folder of the history")
    try:
        from app.history.folder import HistoryFolder  # noqa: PLC0415 - see below
        from app.history.writer import HistoryWriter  # noqa: PLC0415 - needs pyarrow
    except ImportError as error:
        _refuse(f"the history needs pyarrow: pip install 'orderflow[history]' ({error})")
    logs.set_up(config)
    stop = Event()

    def request_stop(_number: int, _frame: FrameType | None) -> None:
        stop.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, request_stop)
    folder = HistoryFolder(config.history)
    with connect(config) as client:
        writer = HistoryWriter(folder, client, config, ServerClock(client).now_ms)
        click.echo(f"history in {config.history}, {config.history_days} days; Ctrl-C ends it")
        try:
            while not stop.is_set():
                writer.step(stop.is_set)
                stop.wait(STEP_SECONDS)
        except HistoryUnavailable as error:
            _refuse(str(error))
        finally:
            folder.close()


def _refuse(line: str) -> NoReturn:
    click.echo(f"orderflow: {line}", err=True)
    raise SystemExit(NOT_NEEDED_EXIT_CODE)
