"""`orderflow feed live`: publish a venue's quotes and trades as they arrive."""

import click

from app.core import logs
from app.core.errors import FeedRefused, SettingError
from app.core.settings import settings
from app.feeds.live.run import run_live
from app.feeds.live.sources import REFUSED_EXIT_CODE, parse_request


@click.command()
@click.argument("asked", metavar="SOURCE:ARGUMENTS")
def live(asked: str) -> None:
    """Publish a venue's quotes and trades as they arrive, such as kraken:BTC/USD,ETH/USD.

    A connection that ends is opened again for as long as it takes, and what was lost meanwhile is
    declared. What the venue refuses for good (a key, a symbol) ends the command, with code 78.
    """
    config = settings()
    logs.set_up(config)
    try:
        run_live(parse_request(asked), config)
    except (SettingError, FeedRefused) as error:
        raise _Refused(str(error)) from None


class _Refused(click.ClickException):
    """What starting again would not change."""

    exit_code = REFUSED_EXIT_CODE
