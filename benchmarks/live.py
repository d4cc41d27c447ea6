"""A live feed's cost: CPU a message and memory, for each source from a local server."""

import os
import sys
import time
from collections.abc import Mapping
from typing import NamedTuple

import psutil

from app.feeds.live.websocket_venue import WebsocketVenue
from benchmarks.harness import Server, private_redis, process, table
from tests.feeds.live.vendors import VENDORS, Vendor
from tests.venues.server import KEY, SECRET, Venue

TICKERS = 50
MESSAGES_A_SECOND = 2000.0
SECONDS, QUICK_SECONDS = 60.0, 10.0
SETTLE_SECONDS = 1.0
BURST = 5000
KEYS = {"APCA_API_KEY_ID": KEY, "APCA_API_SECRET_KEY": SECRET, "DATABENTO_API_KEY": KEY}


class Cost(NamedTuple):
    """What a feed used, and what it was sent and published."""

    cpu_us: float
    rss_mb: float
    own_mb: float
    """Memory that it shares with no other process."""
    sent: int
    published: int


def run(*, quick: bool) -> str:
    """Measure all sources and return the section."""
    seconds = QUICK_SECONDS if quick else SECONDS
    rows = []
    for name, vendor in VENDORS.items():
        cost = cost_of(name, vendor, seconds)
        lost = cost.sent - cost.published
        memory = f"{cost.rss_mb:.0f}, {cost.own_mb:.0f}"
        cpu = (f"{cost.cpu_us:.0f}", _decoding(vendor))
        rows.append((name, *cpu, memory, str(cost.sent), str(lost)))
    memory = "memory, of it its own, MB"
    cpu = ("CPU a message, µs", "of it to decode and map, µs")
    head = ("source", *cpu, memory, "messages", "of them not published")
    rate = f"{MESSAGES_A_SECOND:.0f} messages a second"
    return (
        f"`orderflow feed live` of {TICKERS} tickers, {rate} for {seconds:.0f} s from a local "
        f"server in the venue's place, into a private Redis.\n\n{table(head, rows)}\n"
    )


def cost_of(
    name: str, vendor: Vendor, seconds: float, variables: Mapping[str, str] | None = None
) -> Cost:
    """Measure a source, with further variables in the environment of its feed."""
    with private_redis() as server:
        return _measure(name, vendor, server, seconds, variables or {})


def _measure(
    name: str, vendor: Vendor, server: Server, seconds: float, variables: Mapping[str, str]
) -> Cost:
    separator = "/" if "/" in vendor.pairs[0].ticker else ""
    ends = "USDT" if vendor.pairs[0].ticker.endswith("USDT") else "USD"
    tickers = [f"C{number}{separator}{ends if separator else ''}" for number in range(TICKERS)]
    symbols = [vendor.adapter.symbol_of(ticker) for ticker in tickers]
    source = name.partition("-crypto")[0]
    asked = ":".join(filter(None, (source, vendor.dataset, ",".join(tickers))))
    with vendor.venue(*symbols) as venue:
        # As the supervisor starts it: without the tuning of what ticks.
        environment = server.environment | KEYS | {"GLIBC_TUNABLES": ""}
        environment |= {"ORDERFLOW_FEED_URL": venue.url, **variables}
        command = (sys.executable, "-m", "app", "feed", "live", asked)
        with process(*command, env=environment) as feed:
            venue.wait_subscribed()
            cost = _run_at_rate(venue, feed, seconds)
        return cost._replace(published=_published(server) - _standing(vendor))


def _decoding(vendor: Vendor) -> str:
    """Return the CPU time of a frame from the wire to records, `-` where frames can't be kept."""
    os.environ.update(KEYS)
    frames: list[bytes] = []
    with vendor.open_venue() as venue:
        listener = vendor.listen(venue)
        if not isinstance(listener.adapter, WebsocketVenue):
            return "-"
        listener.adapter.on_frame = frames.append
        with listener:
            listener.wait_for_batches(1)
            venue.burst(BURST)
            listener.wait_for_updates(BURST)
        again = vendor.listen(venue).adapter
    began = time.process_time()
    for frame in frames:
        again.decode(frame)
    return f"{(time.process_time() - began) / len(frames) * 1e6:.1f}"


def _run_at_rate(venue: Venue, feed: psutil.Popen, seconds: float) -> Cost:
    time.sleep(SETTLE_SECONDS)  # the connection and its standing quotes are no part of it
    before = _cpu_seconds(feed)
    venue.rate = MESSAGES_A_SECOND
    time.sleep(seconds)
    venue.rate = 0.0
    time.sleep(SETTLE_SECONDS)
    used = _cpu_seconds(feed) - before
    sent = len(venue.sent)
    memory = feed.memory_full_info()
    return Cost(used / sent * 1e6, memory.rss / 2**20, memory.uss / 2**20, sent, 0)


def _cpu_seconds(feed: psutil.Popen) -> float:
    times = feed.cpu_times()
    return float(times.user + times.system)


def _published(server: Server) -> int:
    names = [
        *server.client.scan_iter("orderflow:quotes:*"),
        *server.client.scan_iter("orderflow:trades:*"),
    ]
    return sum(int(server.client.zcard(name)) for name in names)


def _standing(vendor: Vendor) -> int:
    """Return how many quotes come with the subscriptions."""
    return TICKERS if vendor.sends_standing_quote else 0
