"""The commands `orderflow ask` and `orderflow status`."""

import sys
from typing import NoReturn, get_args

import click

from app.answers.answer_parts import MAX_LIMIT
from app.answers.ask import AS_FITS, Detail
from app.answers.ask import ask as ask_ticker
from app.answers.history_argument import DEFAULT_HISTORY
from app.answers.reader import Reader
from app.answers.rendering import compact
from app.core.errors import OrderFlowError
from app.core.settings import settings
from app.operations import status
from app.storage.redis_client import connect


@click.command()
@click.argument("ticker")
@click.option(
    "--history",
    default=DEFAULT_HISTORY,
    show_default=True,
    help="10 s to 1 h: 30s, 5mins, 1h; to 1d where ORDERFLOW_HISTORY is set.",
)
@click.option(
    "--as-of",
    default="",
    help="An earlier moment: '10 min ago', 'yesterday 09:45 ET', ISO 8601, epoch.",
)
@click.option(
    "--detail",
    type=click.Choice(get_args(Detail)),
    default="full",
    show_default=True,
    help="As much as 900 tokens hold, or the shortest form.",
)
@click.option(
    "--limit",
    type=click.IntRange(1, MAX_LIMIT),
    help="So many events, and levels a side, instead of what fits.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the structured form.")
def ask(  # noqa: PLR0913 - the command's options
    ticker: str, history: str, as_of: str, detail: Detail, limit: int | None, *, as_json: bool
) -> None:
    """Print what the MCP tool would answer about TICKER."""
    reader = Reader.from_settings(settings())
    try:
        rendered = ask_ticker(
            reader, ticker, history, detail=detail, as_of=as_of, limit=limit or AS_FITS
        ).reply
    except OrderFlowError as error:
        _fail(error)
    finally:
        reader.close()
    click.echo(rendered.json if as_json else rendered.text)


@click.command(name="status")
@click.option("--json", "as_json", is_flag=True, help="Print it for a program.")
@click.option("--check", is_flag=True, help="Exit with 1 where something is wrong.")
def show_status(*, as_json: bool, check: bool) -> None:
    """Print how Redis, the analysis and the tickers fare."""
    with connect(settings()) as client:
        try:
            found = status.HealthInspector(client, settings()).status()
        except OrderFlowError as error:
            _fail(error)
    click.echo(compact(status.as_json(found)) if as_json else status.as_text(found))
    if check and found.troubles:
        sys.exit(1)


def _fail(error: OrderFlowError) -> NoReturn:
    click.echo(f"orderflow: {error}", err=True)
    sys.exit(1)
