"""The command `orderflow events`: the pattern events of a kept day."""

import sys

import click

from app.answers.event_selection import MAX_RETURN_MINUTES, MIN_RETURN_MINUTES
from app.answers.reader import Reader
from app.answers.rendering import RenderedReply
from app.answers.scan import ANY, MAX_LIMIT, NEWEST, RAREST, STRONGEST, scan
from app.core.errors import OrderFlowError
from app.core.settings import settings


@click.command()
@click.argument("day", default="yesterday")
@click.option("--ticker", "tickers", multiple=True, help="Only of this ticker; may be repeated.")
@click.option("--pattern", default=ANY, show_default=True, help="Such as iceberg or sweep.")
@click.option("--side", default=ANY, show_default=True, help="bid, ask, up, down or both.")
@click.option(
    "--min-return-minutes",
    type=click.FloatRange(0, MAX_RETURN_MINUTES),
    default=MIN_RETURN_MINUTES,
    show_default=True,
    help="Only count events that come more often.",
)
@click.option("--sort", type=click.Choice([RAREST, STRONGEST, NEWEST]), default=RAREST)
@click.option("--limit", type=click.IntRange(1, MAX_LIMIT), default=20, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print the structured form.")
def events(  # noqa: PLR0913, PLR0917 - the command's options
    day: str,
    tickers: tuple[str, ...],
    pattern: str,
    side: str,
    min_return_minutes: float,
    sort: str,
    limit: int,
    *,
    as_json: bool,
) -> None:
    """Print the events of DAY, a kept session date: yesterday, today or such as 2026-11-24."""
    reader = Reader.from_settings(settings())
    try:
        found = scan(
            reader,
            pattern,
            side,
            limit=limit,
            tickers=tickers,
            sort=sort,
            min_return_minutes=min_return_minutes,
            day=day,
        )
    except OrderFlowError as error:
        click.echo(f"orderflow: {error}", err=True)
        sys.exit(1)
    finally:
        reader.close()
    rendered = RenderedReply(found)
    click.echo(rendered.json if as_json else rendered.text)
