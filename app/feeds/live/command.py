"""`orderflow feed live`: publish a venue's quotes and trades as they arrive."""

from pathlib import Path

import click

from app.core import logs
from app.core.errors import FeedRefused, SettingError, TapeError
from app.core.settings import settings
from app.feeds.live.run import run_live
from app.feeds.live.sources import REFUSED_EXIT_CODE, parse_request
from app.feeds.record import TapeRecorder


@click.command()
@click.argument("asked", metavar="SOURCE:ARGUMENTS")
@click.option(
    "--record",
    "folder",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder for tapes of what is published: one file a ticker, kind of record and day (UTC).",
)
def live(asked: str, folder: Path | None) -> None:
    """Publish a venue's quotes and trades as they arrive, such as kraken:BTC/USD,ETH/USD.

    A connection that ends is opened again for as long as it takes, and what was lost meanwhile is
    declared. What the venue refuses for good (a key, a symbol) ends the command, with code 78.
    """
    config = settings()
    logs.set_up(config, quiet=("httpx2",))  # it logs addresses, passwords and all
    try:
        run_live(parse_request(asked), config, None if folder is None else TapeRecorder(folder))
    except (SettingError, FeedRefused, TapeError) as error:
        raise Refused(str(error)) from None


class Refused(click.ClickException):
    """What starting again would not change."""

    exit_code = REFUSED_EXIT_CODE
