"""`orderflow feed live`: publish a venue's quotes and trades as they arrive."""

from pathlib import Path

import click

from app.core import logs
from app.core.errors import FeedInterrupted, FeedRefused, SettingError
from app.core.settings import settings
from app.feeds.live.job import LiveJob
from app.feeds.live.listings import resolve_if_possible
from app.feeds.live.sources import REFUSED_EXIT_CODE, parse_request


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
    job_of(asked, folder).run_in_place()


def job_of(asked: str, folder: Path | None) -> LiveJob:
    """Return the job that is asked for, checked as far as it can be without the venue's feed."""
    config = settings()
    logs.set_up(config, quiet=("httpx2",))  # it logs addresses, passwords and all
    try:
        request = parse_request(asked)
        request.check(config.feed_url)
        request = resolve_if_possible(request, config.feed_url)
    except (SettingError, FeedRefused) as error:
        raise Refused(str(error)) from None
    except FeedInterrupted as error:
        raise click.ClickException(str(error)) from None
    return LiveJob(
        request,
        config.feed_url,
        None if folder is None else str(folder),
        config.redis_url,
        config.redis_database,
        config.cluster,
        config.log_level,
        config.log_format,
    )


class Refused(click.ClickException):
    """What starting again would not change."""

    exit_code = REFUSED_EXIT_CODE
