"""`orderflow feed symbols` and `orderflow feed check`: what a live source has, and how it fares."""

import asyncio
from pathlib import Path

import click

from app.core import logs
from app.core.arguments import Seconds
from app.core.errors import FeedInterrupted, FeedRefused, SettingError
from app.core.settings import settings
from app.feeds.live.check import FrameKeeper, SourceCheck, check_source, report
from app.feeds.live.command import Refused
from app.feeds.live.listings import LISTINGS, read_listing, resolve_if_possible
from app.feeds.live.sources import LiveRequest, parse_request
from app.feeds.live.symbols import matching, near_tickers


@click.command()
@click.argument("source", type=click.Choice(sorted(LISTINGS)))
@click.argument("text", default="")
def symbols(source: str, text: str) -> None:
    """List the symbols of a live SOURCE as tickers, those that hold TEXT, a line each."""
    try:
        listed = read_listing(source, settings().feed_url)
    except (FeedInterrupted, SettingError) as error:
        raise click.ClickException(str(error)) from None
    found = matching(text, listed)
    if not found:
        near = ", ".join(near_tickers(text, listed))
        hint = f"; near ones: {near}" if near else ""
        raise click.ClickException(f"{source} has no symbol with {text!r} in it{hint}")
    click.echo("\n".join(found))


@click.command()
@click.argument("asked", metavar="SOURCE:ARGUMENTS")
@click.option("--seconds", type=Seconds(min=1), default=60, show_default=True, help="How long.")
@click.option(
    "--frames",
    type=click.Path(dir_okay=False, path_type=Path),
    help="File for the frames as they came, gzipped lines of JSON; else SOURCE.frames.jsonl.gz.",
)
def check(asked: str, seconds: int, frames: Path | None) -> None:
    """Look at a live source for a minute: counts, stamps against the clock, gaps, crossed quotes.

    Nothing is written to Redis. Exits with 1 where something is wrong, with 78 where the venue
    refuses what is asked of it. Faults of the source are told in lines that begin with TROUBLE.
    """
    try:
        config = settings()
        logs.set_up(config, quiet=("httpx2",))  # it logs addresses, passwords and all
        request = parse_request(asked)
        request.check(config.feed_url)
        request = resolve_if_possible(request, config.feed_url)
        path = frames or Path(f"{request.name}.frames.jsonl.gz")
        click.echo(f"checking {request} for {seconds} s")
        with FrameKeeper(path) as keeper:
            found = _run(request, config.feed_url, seconds, keeper)
    except (SettingError, FeedRefused) as error:
        raise Refused(str(error)) from None
    except FeedInterrupted as error:
        raise click.ClickException(str(error)) from None
    except OSError as error:
        raise click.ClickException(f"frames can't be kept: {error}") from None
    for line in report(found, seconds):
        click.echo(line)
    if keeper.count:
        click.echo(f"kept {keeper.count} frames in {path}")
    faults = [*found.faults()]
    for fault in faults:
        click.echo(f"TROUBLE {fault}")
    if faults:
        raise SystemExit(1)


def _run(
    request: LiveRequest, feed_url: str | None, seconds: int, keeper: FrameKeeper
) -> SourceCheck:
    make = request.adapter(feed_url)
    return asyncio.run(check_source(make, request.tickers, seconds, keeper))
