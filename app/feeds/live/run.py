"""The process of a live feed, which runs until Ctrl-C, SIGTERM or what the venue refuses for good.

It imports what a feed needs and no more (decision 31): it stays for weeks.
"""

import asyncio
import signal
import sys
from pathlib import Path

from app.core import logs
from app.core.errors import FeedRefused, SettingError, TapeError
from app.feeds.live.job import STOP_SIGNALS, LiveJob
from app.feeds.live.live_feed import LiveFeed
from app.feeds.live.sources import REFUSED_EXIT_CODE
from app.feeds.record import TapeRecorder
from app.storage.redis_client import connect


def main() -> None:
    """Run the job that this process was started for."""
    job = LiveJob.taken_over()
    logs.set_up(job)
    try:
        run_live(job)
    except (SettingError, FeedRefused, TapeError) as error:
        sys.stderr.write(f"Error: {error}\n")
        sys.exit(REFUSED_EXIT_CODE)


def run_live(job: LiveJob) -> None:
    """Publish what a job asks for until Ctrl-C or SIGTERM.

    Raises `SettingError` or `TapeError` where it can't be done here, `FeedRefused` where the venue
    refuses it.
    """
    recorder = None if job.folder is None else TapeRecorder(Path(job.folder))
    make = job.request.adapter(job.feed_url)
    with connect(job) as redis:
        feed = LiveFeed(make, job.request.tickers, redis, job, recorder)
        _tell(f"live: {job.request}; Ctrl-C ends it")
        try:
            asyncio.run(_run_until_signal(feed))
        except FeedRefused as error:
            raise FeedRefused(f"{job.request}: {error}") from None
        finally:
            _tell_totals(feed)


async def _run_until_signal(feed: LiveFeed) -> None:
    stop = asyncio.Event()
    for number in STOP_SIGNALS:
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP_SIGNALS)
    await feed.run(stop)


def _tell_totals(feed: LiveFeed) -> None:
    outbox = feed.outbox
    further = {
        **feed.counts,
        "not sent": outbox.pending_count,
        "lost": outbox.lost_count,
    }
    told = "".join(f", {count} {name}" for name, count in further.items() if count)
    _tell(f"published {outbox.published_count} records{told}")


def _tell(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
