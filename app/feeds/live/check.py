"""Look at a live source for a minute, without Redis: what comes, how it is stamped, what is odd."""

import asyncio
import base64
import gzip
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Self

import msgspec

from app.core.clock import now_ms
from app.feeds.live.connections import Connections
from app.feeds.live.record_order import RecordOrder
from app.feeds.live.venue import Batch, Update, Venue
from app.feeds.live.websocket_venue import WebsocketVenue
from app.feeds.publish import QuoteMember

MAX_DELAYS = 100_000


class KeptFrame(msgspec.Struct, omit_defaults=True):
    """A frame as it came: as text, or in base64 where it is none."""

    at: float
    text: str = ""
    base64: str = ""


class FrameKeeper:
    """Keeps frames in a gzipped file, a line of JSON each."""

    def __init__(self, path: Path) -> None:
        self.count = 0
        self._file = gzip.GzipFile(path, "wb")

    def keep(self, frame: bytes) -> None:
        """Keep a frame."""
        try:
            kept = KeptFrame(now_ms(), text=frame.decode())
        except UnicodeDecodeError:
            kept = KeptFrame(now_ms(), base64=base64.b64encode(frame).decode())
        self._file.write(msgspec.json.encode(kept) + b"\n")
        self.count += 1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()


@dataclass(slots=True)
class TickerCheck:
    """What came of one ticker."""

    quotes: int = 0
    trades: int = 0
    crossed: int = 0
    locked: int = 0
    one_sided: int = 0
    unsigned: int = 0
    backwards: int = 0
    delays_ms: list[float] = field(default_factory=list)
    order: RecordOrder = field(default_factory=RecordOrder)
    _newest_ms: float = 0.0

    def note(self, update: Update, received_ms: float) -> None:
        """Count a record, unless it was had already."""
        if not self.order.accept(update):
            return
        record = update.record
        if isinstance(record, QuoteMember):
            self._note_quote(record)
        else:
            self.trades += 1
            self.unsigned += record.aggressor is None
        if record.timestamp:
            self.backwards += record.timestamp < self._newest_ms
            self._newest_ms = max(self._newest_ms, record.timestamp)
            if len(self.delays_ms) < MAX_DELAYS:
                self.delays_ms.append(received_ms - record.timestamp)

    def _note_quote(self, quote: QuoteMember) -> None:
        self.quotes += 1
        if not (quote.bid_size and quote.ask_size):
            self.one_sided += 1
        else:
            self.crossed += quote.bid_price > quote.ask_price
            self.locked += quote.bid_price == quote.ask_price


class SourceCheck:
    """What a source sends while it is looked at; a `Receiver` of connections."""

    def __init__(self, tickers: Sequence[str]) -> None:
        self.tickers = {ticker: TickerCheck() for ticker in tickers}
        self.frames = 0
        self.longest_silence_seconds = 0.0
        self.gaps_seconds: list[float] = []
        self.counts: Counter[str] = Counter()
        """What the adapters left out, by reason."""
        self._heard_ms: float | None = None

    def begin(self, lost_from_ms: float | None, now_ms: float) -> None:
        """Note that a connection stands, and for how long there was none."""
        self._heard_ms = now_ms
        if lost_from_ms is not None:
            self.gaps_seconds.append((now_ms - lost_from_ms) / 1000)
        for found in self.tickers.values():
            found.order.restart(now_ms)

    def receive(self, batch: Batch, received_ms: float) -> None:
        """Count a frame and its records."""
        self.frames += 1
        silent_ms = received_ms - (self._heard_ms or received_ms)
        self.longest_silence_seconds = max(self.longest_silence_seconds, silent_ms / 1000)
        self._heard_ms = received_ms
        for update in batch:
            self.tickers[update.ticker].note(update, received_ms)

    def faults(self) -> Iterator[str]:
        """Yield what is wrong, in words; nothing where the source is fit for use."""
        if not self.frames:
            yield "no connection"
        for ticker, found in self.tickers.items():
            if not found.quotes:
                yield f"{ticker}: no quote came"
            if found.crossed:
                yield f"{ticker}: {found.crossed} crossed quotes"
            if found.backwards:
                yield f"{ticker}: {found.backwards} stamps behind the one before"
        if self.counts["not_understood"]:
            yield f"{self.counts['not_understood']} frames are not as documented"
        for seconds in self.gaps_seconds:
            yield f"no connection for {seconds:.1f} s"


async def check_source(
    make: Callable[[], Venue],
    tickers: Sequence[str],
    seconds: float,
    keeper: FrameKeeper,
) -> SourceCheck:
    """Look at a source for so many seconds, with new connections where one ends.

    Raises `FeedRefused` where the venue refuses what is asked of it.
    """
    check = SourceCheck(tickers)
    venues: list[Venue] = []

    def make_kept() -> Venue:
        venue = make()
        venues.append(venue)
        if isinstance(venue, WebsocketVenue):
            venue.on_frame = keeper.keep
        return venue

    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await Connections(make_kept, check).run()
    for venue in venues:
        check.counts.update(venue.counts)
    return check


def report(check: SourceCheck, seconds: float) -> Iterator[str]:
    """Yield the lines that tell what came."""
    yield (
        f"{check.frames} frames in {seconds:.0f} s; longest silence "
        f"{check.longest_silence_seconds:.1f} s"
    )
    for ticker, found in check.tickers.items():
        yield f"{ticker}: {', '.join(_ticker_facts(found))}"
    left_out = {name: count for name, count in check.counts.items() if count}
    if left_out:
        yield f"left out: {left_out}"


def _ticker_facts(found: TickerCheck) -> Iterator[str]:
    """Yield what is to be said of a ticker, counts that are 0 left out but quotes and trades."""
    yield f"{found.quotes} quotes"
    yield f"{found.trades} trades"
    counts = {
        "crossed": found.crossed,
        "locked": found.locked,
        "one-sided": found.one_sided,
        "trades without aggressor": found.unsigned,
        "stamps backwards": found.backwards,
        **found.order.counts,
    }
    yield from (f"{count} {name}" for name, count in counts.items() if count)
    if found.delays_ms:
        least, most = min(found.delays_ms), max(found.delays_ms)
        middle = median(found.delays_ms)
        yield f"stamps behind the clock by {least:.0f} to {most:.0f} ms, half by {middle:.0f} ms"
    elif found.quotes:
        yield "stamped on arrival"
