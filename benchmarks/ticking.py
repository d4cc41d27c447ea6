"""Tick tickers with full windows in a private Redis, by a store in this process."""

import time
from collections.abc import Callable, Iterable

from tqdm import tqdm

from app.storage.tick_store import TickStore
from benchmarks.books import Book
from benchmarks.harness import Server

START_MS = 1_700_000_000_000
WINDOW_SECONDS = 300


class Bench:
    """Some tickers with their books, a store that ticks them, and their current time."""

    def __init__(self, server: Server, tickers: Iterable[str], width: int = 60) -> None:
        self.server = server
        self.store = TickStore(server.settings())
        self.books = {name: Book(seed, width=width) for seed, name in enumerate(tickers)}
        self.now_ms = START_MS

    def feed(self, rate_of: Callable[[str], int], *, roams: bool = False) -> None:
        """Publish one second of records for every ticker."""
        self.now_ms += 1000
        pipe = self.server.client.pipeline(transaction=False)
        for name, book in self.books.items():
            stored = book.second(self.now_ms, rate_of(name), roams=roams)
            pipe.zadd(f"orderflow:quotes:{name}", stored.quotes)
            if stored.trades:
                pipe.zadd(f"orderflow:trades:{name}", stored.trades)
        pipe.execute()

    def fill(self, rate_of: Callable[[str], int], *, roams: bool = False) -> None:
        """Fill all windows, with a tick each second."""
        for _ in tqdm(range(WINDOW_SECONDS + 10), desc="fill", unit="s", leave=False, disable=None):
            self.feed(rate_of, roams=roams)
            for name in self.books:
                self.store.run_tick(name, self.now_ms)

    def tick(self, name: str) -> float:
        """Run one tick; return its CPU µs in this process."""
        start = time.thread_time_ns()
        self.store.run_tick(name, self.now_ms)
        return (time.thread_time_ns() - start) / 1000

    def forget(self) -> None:
        """Make every ticker cold: the next tick reads its state from Redis."""
        settings = self.server.settings()
        self.store = TickStore(settings)
        # Opens connections and loads scripts before the measurement.
        self.store.run_tick("WARMUP", self.now_ms)
