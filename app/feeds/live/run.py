"""Run a live feed until Ctrl-C, SIGTERM or what the venue refuses for good."""

import asyncio
import signal

import click

from app.core.errors import FeedRefused
from app.core.settings import Settings
from app.feeds.live.listings import resolve_if_possible
from app.feeds.live.live_feed import LiveFeed, Recorder
from app.feeds.live.memory import release_unused_memory
from app.feeds.live.sources import LiveRequest
from app.storage.redis_client import connect


def run_live(request: LiveRequest, settings: Settings, recorder: Recorder | None = None) -> None:
    """Publish what a request asks for until Ctrl-C or SIGTERM; `recorder` gets it as well.

    Raises `SettingError` where it can't be done here, `FeedRefused` where the venue refuses it.
    """
    request.check()
    request = resolve_if_possible(request, settings.feed_url)
    make = request.adapter(settings.feed_url)
    with connect(settings) as redis:
        feed = LiveFeed(make, request.tickers, redis, settings, recorder)
        click.echo(f"live: {request}; Ctrl-C ends it")
        release_unused_memory()
        try:
            asyncio.run(_run_until_signal(feed))
        except FeedRefused as error:
            raise FeedRefused(f"{request}: {error}") from None
        finally:
            _echo_totals(feed)


async def _run_until_signal(feed: LiveFeed) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await feed.run(stop)


def _echo_totals(feed: LiveFeed) -> None:
    outbox = feed.outbox
    further = {
        **feed.counts,
        "not sent": outbox.pending_count,
        "lost": outbox.lost_count,
    }
    told = "".join(f", {count} {name}" for name, count in further.items() if count)
    click.echo(f"published {outbox.published_count} records{told}")
