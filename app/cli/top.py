"""`orderflow top`: all active tickers in a terminal, live."""

import sys
from importlib.util import find_spec

import click

from app.core.settings import settings

_EXTRA = "top needs the extra 'top', which is not installed: pip install 'orderflow[top]'"


@click.command()
def top() -> None:
    """Show all active tickers live, the most unusual first; Enter shows an answer, q ends it."""
    if not _is_installed("textual"):
        click.echo(f"orderflow: {_EXTRA}", err=True)
        sys.exit(1)
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        click.echo("orderflow: top needs a terminal; elsewhere: orderflow status", err=True)
        sys.exit(1)
    # Imported late: it needs the extra.
    from app.cli.top_screen import BoardSource, TopApp  # noqa: PLC0415

    source = BoardSource(settings())
    try:
        TopApp(source).run()
    finally:
        source.close()


def _is_installed(package: str) -> bool:
    try:
        return find_spec(package) is not None
    except ValueError:  # it is being kept from being imported
        return False
