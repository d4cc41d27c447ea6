"""A look at a live source: what came is counted, what is odd is told, frames are kept."""

import asyncio
import gzip
import json
import threading
from pathlib import Path

import msgspec
import pytest

from app.feeds.live.check import FrameKeeper, SourceCheck, check_source, report
from app.feeds.live.kraken import Kraken
from tests.processes import wait_until
from tests.venues.kraken import KrakenVenue
from tests.venues.market import BestQuote, Print

SECONDS = 5.0


class Look:
    """A check of BTC/USD that runs in a thread, and its result."""

    def __init__(self, venue: KrakenVenue, path: Path) -> None:
        self._venue, self._path = venue, path
        self.found = SourceCheck(())
        self._thread = threading.Thread(target=self._run)
        self._thread.start()
        venue.wait_subscribed()

    def _run(self) -> None:
        with FrameKeeper(self._path) as keeper:
            self.found = asyncio.run(
                check_source(
                    lambda: Kraken(("BTC/USD",), self._venue.url), ("BTC/USD",), SECONDS, keeper
                )
            )

    def end(self) -> SourceCheck:
        """Wait for its end, and return what was found."""
        self._thread.join()
        return self.found


def test_what_comes_is_counted_and_every_frame_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "frames.jsonl.gz"
    with KrakenVenue("BTC/USD") as venue:
        look = Look(venue, path)
        venue.burst(200)
        found = look.end()
        sent = venue.sent

    ticker = found.tickers["BTC/USD"]
    quotes = sum(isinstance(event, BestQuote) for event in sent)
    assert ticker.quotes >= quotes
    assert ticker.trades == sum(isinstance(event, Print) for event in sent)
    assert not ticker.crossed
    frames = [json.loads(line) for line in gzip.decompress(path.read_bytes()).splitlines()]
    assert {"BTC/USD"} <= {
        row["symbol"]
        for frame in frames
        for row in msgspec.json.decode(frame["text"]).get("data", [])
        if "symbol" in row
    }
    assert len(frames) > len(sent)
    lines = [*report(found, SECONDS)]
    assert f"{ticker.quotes} quotes, {ticker.trades} trades" in lines[1]
    assert "stamps behind the clock by" in lines[1]
    assert [*found.faults()] == []


@pytest.mark.parametrize("ending", ["close_connections", "kill_connections"])
def test_a_connection_that_ends_is_told(tmp_path: Path, ending: str) -> None:
    with KrakenVenue("BTC/USD") as venue:
        look = Look(venue, tmp_path / "frames")
        venue.burst(10)
        getattr(venue, ending)()
        wait_until(lambda: venue.connection_count == 2, "a new connection")
        found = look.end()

    assert len(found.gaps_seconds) == 1
    assert any(fault.startswith("no connection for") for fault in found.faults())


def test_frames_that_are_not_as_documented_are_told(tmp_path: Path) -> None:
    with KrakenVenue("BTC/USD") as venue:
        look = Look(venue, tmp_path / "frames")
        venue.send_raw('{"channel":"ticker","data":[{"symbol":"BTC/USD"}]}')
        found = look.end()

    assert "1 frames are not as documented" in [*found.faults()]


def test_a_source_that_is_away_is_told(tmp_path: Path) -> None:
    with KrakenVenue("BTC/USD") as venue:
        url = venue.url
    with FrameKeeper(tmp_path / "frames") as keeper:
        found = asyncio.run(
            check_source(lambda: Kraken(("BTC/USD",), url), ("BTC/USD",), 0.5, keeper)
        )

    assert [*found.faults()] == ["no connection", "BTC/USD: no quote came"]


def test_crossed_quotes_and_stamps_that_go_back_are_told(tmp_path: Path) -> None:
    with KrakenVenue("BTC/USD") as venue:
        look = Look(venue, tmp_path / "frames")
        row = {"symbol": "BTC/USD", "bid": 11.0, "bid_qty": 1.0, "ask": 10.0, "ask_qty": 1.0}
        for second in ("02", "01"):
            stamped = row | {"timestamp": f"2099-01-01T00:00:{second}.000000Z"}
            venue.send_raw(json.dumps({"channel": "ticker", "data": [stamped]}))
        found = look.end()

    assert found.tickers["BTC/USD"].crossed == 2
    assert found.tickers["BTC/USD"].backwards == 1
    assert [*found.faults()] == [
        "BTC/USD: 2 crossed quotes",
        "BTC/USD: 1 stamps behind the one before",
    ]
