"""A live feed under full load: nothing lost, in order, and its tape says what the ticks published.

A local server stands in the venue's place; workers tick all tickers meanwhile.
"""

import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from app.feeds.live.venue import Update
from app.feeds.publish import QuoteMember, TradeMember
from benchmarks.harness import Server, private_redis, process, table
from tests.feeds.live.vendors import VENDORS, Pair, by_kind
from tests.system.recorded_ticks import TickSampler, analysed
from tests.venues.server import Venue

SOURCE = "kraken"
TICKERS = 50
MESSAGES_A_SECOND = 2000.0
SECONDS, QUICK_SECONDS = 60.0, 15.0
BURST = 5000
PATIENT = {"ORDERFLOW_SETTLE_MS": "900"}
"""A burst is stamped at once and takes longer than the usual 200 ms to arrive."""
POLL_SECONDS = 0.2
LAST_TICKS_SECONDS = 5.0

Records = dict[tuple[str, str], list[Any]]


class Outcome(NamedTuple):
    """What was sent and published, and how the ticks compare with the tape."""

    sent: Records
    published: Records
    gaps: int
    ticks: int
    equal_ticks: int
    late: int
    """How many ticks say that records came after their tick; these may differ from the tape's."""


def run(*, quick: bool) -> str:
    """Measure and return the section."""
    seconds = QUICK_SECONDS if quick else SECONDS
    found = _measure(seconds)
    sent, published = (sum(map(len, records.values())) for records in (found.sent, found.published))
    in_order = sum(found.published[key] == records for key, records in found.sent.items())
    rows = [
        ("records sent", f"{sent:,}"),
        ("records published", f"{published:,}"),
        ("keys that hold exactly what was sent, in its order", f"{in_order} of {len(found.sent)}"),
        ("gaps declared", str(found.gaps)),
        ("ticks of one ticker compared with `orderflow analyze` of its tape", str(found.ticks)),
        ("of them equal in every byte", str(found.equal_ticks)),
        ("of them after records that came too late", str(found.late)),
    ]
    return (
        f"`orderflow feed live {SOURCE}:… --record DIR` of {TICKERS} tickers, "
        f"{MESSAGES_A_SECOND:.0f} messages a second for {seconds:.0f} s and then {BURST} at once, "
        f"while a worker ticks all of them, "
        f"{PATIENT['ORDERFLOW_SETTLE_MS']} ms after each second.\n\n{table(('', ''), rows)}\n"
    )


def _measure(seconds: float) -> Outcome:
    tickers = [f"C{number}/USD" for number in range(TICKERS)]
    vendor = replace(VENDORS[SOURCE], pairs=tuple(Pair(ticker, ticker) for ticker in tickers))
    with tempfile.TemporaryDirectory() as name, private_redis() as server:
        folder = Path(name)
        with vendor.open_venue() as venue:
            sampler = TickSampler(server.client, tickers[0])
            with _ticking(server), _feeding(server, venue, tickers, folder):
                venue.wait_subscribed()
                standing = [venue.market.standing[ticker] for ticker in tickers]
                venue.rate = MESSAGES_A_SECOND
                _sample_for(sampler, seconds)
                venue.rate = 0.0
                venue.burst(BURST)
                _sample_for(sampler, LAST_TICKS_SECONDS)
            events = [*standing, *venue.sent]
        windows, _ = analysed(folder, tickers[0], max(sampler.seen))
        return Outcome(
            by_kind(vendor.updates(events)),
            by_kind(_published(server, tickers)),
            sum(1 for _ in server.client.scan_iter("orderflow:gaps:*")),
            len(sampler.seen),
            sum(windows[as_of] == seen for as_of, seen in sampler.seen.items()),
            len(sampler.late_ticks),
        )


@contextmanager
def _ticking(server: Server) -> Iterator[None]:
    """Run beat and a worker."""
    celery = (sys.executable, "-m", "celery", "--quiet", "-A", "tasks")
    alone = ("-P", "solo", "--without-gossip", "--without-mingle")
    with ExitStack() as stack:
        environment = server.environment | {"ORDERFLOW_SHARDS": "1", **PATIENT}
        stack.enter_context(process(*celery, "worker", *alone, env=environment))
        stack.enter_context(process(*celery, "beat", env=environment))
        yield


@contextmanager
def _feeding(server: Server, venue: Venue, tickers: list[str], folder: Path) -> Iterator[None]:
    environment = server.environment | {"ORDERFLOW_FEED_URL": venue.url}
    asked = f"{SOURCE}:{','.join(tickers)}"
    command = (sys.executable, "-m", "app", "feed", "live", asked, "--record", str(folder))
    with process(*command, env=environment):
        yield


def _sample_for(sampler: TickSampler, seconds: float) -> None:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        sampler.count()
        time.sleep(POLL_SECONDS)


def _published(server: Server, tickers: list[str]) -> Iterator[Update]:
    """Yield each ticker's records in the order of their numbers, without these."""
    for ticker in tickers:
        for kind, form in (("quotes", QuoteMember), ("trades", TradeMember)):
            members = server.client.zrange(f"orderflow:{kind}:{ticker}", 0, -1)
            records: list[Any] = [msgspec.json.decode(one, type=form) for one in members]
            for record in sorted(records, key=lambda record: int(record.seq)):
                yield Update(ticker, msgspec.structs.replace(record, seq=0))
