"""Measure a warm ticker's memory in a worker, and its keys' memory in Redis."""

import gc
import tracemalloc

from app.analysis.patterns.absorption import TakerFlow
from app.analysis.patterns.events import Events, Opening
from benchmarks.harness import Server, private_redis, table
from benchmarks.ticking import WINDOW_SECONDS, Bench

_TICKERS = 4
_WIDTH = 200  # more prices than levels are kept
_RECORDS = ("quotes", "trades")
_OPEN_EVENTS, _OPEN_IN_A_BOOK = 20, 2
_ROAMS_EACH_SECONDS = 7
_QUOTE_BYTES, _BAR_BYTES = 230, 250


def run(*, quick: bool) -> str:
    """Measure, and return the README's section."""
    rows = [_measured(rate) for rate in ((10,) if quick else (10, 500))]
    head = ("quotes/s", "worker, KB a ticker", "Redis, KB a ticker", "a kept bar", "a record")
    return "\n\n".join(
        [
            (
                f"{_TICKERS} tickers with full windows, all prices of a wide book visited, a "
                "print for every ten quotes. Worker: what it holds of them and no more once it has "
                "forgotten them, by tracemalloc (what all tickers share is left out), and "
                f"{_OPEN_EVENTS} open events. Redis: all keys but records and bars. "
                "Targets at 500 quotes/s: 160 KB in a worker; in Redis 300 KB, "
                f"{_BAR_BYTES} bytes a kept bar, {_QUOTE_BYTES} a retained record."
            ),
            table(head, rows),
        ]
    )


def _measured(rate: int) -> tuple[str, ...]:
    with private_redis() as server:
        bench = Bench(server, [f"M{number}" for number in range(_TICKERS)], width=_WIDTH)
        bench.tick("M0")  # creates what all tickers share
        tracemalloc.start()
        for second in range(WINDOW_SECONDS + 10):
            bench.feed(lambda _: rate, roams=second % _ROAMS_EACH_SECONDS == 0)
            for name in bench.books:
                bench.tick(name)
        with_tickers = _held_bytes()
        bench.store._warm.clear()  # noqa: SLF001 - its memory is measured
        worker = (with_tickers - _held_bytes()) / _TICKERS + _open_events_bytes()
        tracemalloc.stop()
        return (f"{rate}", f"{worker / 1024:.0f}", *_in_redis(server))


def _held_bytes() -> int:
    gc.collect()
    return tracemalloc.get_traced_memory()[0]


def _open_events_bytes() -> int:
    """Return the bytes of further open events, so that each ticker has `_OPEN_EVENTS`."""
    events = Events("M0")
    before, _ = tracemalloc.get_traced_memory()
    for number in range(_OPEN_EVENTS - _OPEN_IN_A_BOOK):
        flow = TakerFlow(
            shares=3_000.5 + number,
            usual_shares=1_000.5 + number,
            direction=-1,
            expected_move=4e6 + number,
            actual_move=0.5e6 + number,
            usual_move=2e6 + number,
            level_price=10**10 + number,
            level_shares=2_500.5 + number,
            taken_shares=3_100.5 + number,
            displayed_shares=400.5 + number,
        )
        events.open_or_extend(
            Opening(
                type="absorption",
                side="bid",
                opened_at=1e12 + number,
                completed_at=1e12 + number,
                statistic=flow.shares / flow.usual_shares,
                threshold=1.5,
                evidence_class="A",
                evidence=flow.evidence(10**6),
                price_low=flow.level_price,
                price_high=flow.level_price,
                key=f"{number}",
            )
        )
    return tracemalloc.get_traced_memory()[0] - before


def _in_redis(server: Server) -> tuple[str, ...]:
    client = server.client
    used = {
        name.decode(): client.memory_usage(name, samples=0) for name in client.keys("*:M[0-9]*")
    }
    bars = {name: size for name, size in used.items() if ":bars:" in name}
    records = {name: size for name, size in used.items() if name.split(":")[1] in _RECORDS}
    rest = sum(used.values()) - sum(bars.values()) - sum(records.values())
    kept_bars = sum(client.xlen(name) for name in bars)
    kept_records = sum(client.zcard(name) for name in records)
    return (
        f"{rest / 1024 / _TICKERS:.0f}",
        f"{sum(bars.values()) / kept_bars:.0f} bytes",
        f"{sum(records.values()) / kept_records:.0f} bytes",
    )
