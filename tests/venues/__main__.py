"""Run a local server in a venue's place until Ctrl-C: `python -m tests.venues kraken BTC/USD`.

It prints the address for ORDERFLOW_FEED_URL.
"""

import signal
from threading import Event

import click

from tests.feeds.live.vendors import VENDORS


@click.command()
@click.argument("name", type=click.Choice(sorted(VENDORS)))
@click.argument("symbols", nargs=-1, required=True)
@click.option("--rate", type=float, default=100.0, show_default=True, help="Events a second.")
def serve(name: str, symbols: tuple[str, ...], rate: float) -> None:
    """Serve SYMBOLS, written as the venue writes them, as the venue NAME does."""
    stop = Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    with VENDORS[name].venue(*symbols) as venue:
        venue.rate = rate
        click.echo(venue.url)
        stop.wait()


if __name__ == "__main__":
    serve()
