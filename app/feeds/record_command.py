"""`orderflow feed record`: record tapes of what a broker writes to Redis."""

from pathlib import Path

import click

from app.core import logs
from app.core.errors import BadTicker, TapeError
from app.core.settings import settings
from app.core.tickers import parse_ticker
from app.feeds.record_redis import record_tickers
from app.feeds.stopping import stop_on_signals
from app.storage.redis_client import connect


@click.command()
@click.argument("tickers", nargs=-1, required=True, metavar="TICKER...")
@click.option(
    "--dir",
    "folder",
    required=True,
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder of the tapes: one file a ticker, kind of record and day (UTC).",
)
def record(tickers: tuple[str, ...], folder: Path) -> None:
    """Record tapes of what a broker writes to Redis, until Ctrl-C.

    Goes on with the tapes in the folder, from the records that Redis still has.
    """
    config = settings()
    logs.set_up(config)
    try:
        names = list(dict.fromkeys(map(parse_ticker, tickers)))
        with stop_on_signals() as stop, connect(config) as redis:
            click.echo(f"recording {', '.join(names)} to {folder}; Ctrl-C ends it")
            recorded = record_tickers(redis, config, names, folder, stop)
    except (BadTicker, TapeError) as error:
        raise click.ClickException(str(error)) from None
    click.echo(f"recorded {recorded} records")
