"""What a scan of many tickers takes beside an answer about one, asked in turns in this process.

    python -m benchmarks.scan_turns [--tickers 200 --tickers 1000] [--rounds 20]

All tickers are ticked between rounds, and have an hour of events and an open one. Fewer are scanned
while fewer of them are active. Times are from the question to its text and JSON; the CPU time is
that of this process and of Redis, which a busy machine changes less.
"""

import gc
import time
from collections.abc import Callable, Sequence
from statistics import median
from typing import NamedTuple

import click
from tqdm import tqdm

from app.answers.ask import ask
from app.answers.reader import Reader
from app.answers.rendering import RenderedReply
from app.answers.scan import scan
from app.core import clock
from app.storage.keys import HEARTBEAT, TICKERS
from benchmarks.harness import Server, private_redis, table
from benchmarks.past_events import EVENTS, add_open_event, add_past_events
from benchmarks.ticking import Bench

_RATE = 10
_FILL_SECONDS = 20
_ASKED_MS = 700.0


class _Took(NamedTuple):
    """What a call took: on the clock, and of CPU in this process and Redis."""

    ms: float
    cpu_ms: float


@click.command()
@click.option("--tickers", "counts", type=int, multiple=True, default=(200, 1000))
@click.option("--rounds", default=20, show_default=True)
def main(counts: tuple[int, ...], rounds: int) -> None:
    """Print what each scan takes, as a multiple of an answer about one ticker."""
    names = [f"T{number:04}" for number in range(max(counts))]
    with private_redis() as server:
        bench = Bench(server, names)
        bench.now_ms = int(time.time() - _FILL_SECONDS - rounds) * 1000
        clock.now_ms = lambda: bench.now_ms + _ASKED_MS
        for _ in tqdm(range(_FILL_SECONDS), desc="fill", unit="s", disable=None):
            _tick_all(bench)
        for name in names:
            add_past_events(server.client, name, bench.now_ms)
            add_open_event(server.client, name, bench.now_ms)
        reader = Reader.from_settings(server.settings())
        took: dict[str, list[_Took]] = {"an answer": [], **{f"{n} scanned": [] for n in counts}}
        for number in tqdm(range(rounds), desc="ask", unit="round", disable=None):
            _tick_all(bench)
            # The tickers' states are in this process, where a reader has none: leave them alone.
            gc.freeze()
            _let_be_active(bench, names)
            took["an answer"].append(_took(server, _answer, reader, names[number]))
            for count in counts:
                _let_be_active(bench, names[:count])
                took[f"{count} scanned"].append(_took(server, _scan, reader))
        reader.close()
    rows = [(label, *_figures(calls, took["an answer"])) for label, calls in took.items()]
    click.echo(f"{EVENTS} events of the last hour and {_RATE} quotes/s a ticker, {rounds} rounds")
    head = ("asked", "p50, ms", "longest, ms", "CPU p50, ms", "× an answer's CPU")
    click.echo(table(head, rows))


def _figures(calls: Sequence[_Took], answers: Sequence[_Took]) -> tuple[str, ...]:
    ms, cpu = [one.ms for one in calls], median(one.cpu_ms for one in calls)
    ratio = cpu / median(one.cpu_ms for one in answers)
    return f"{median(ms):.1f}", f"{max(ms):.1f}", f"{cpu:.1f}", f"{ratio:.1f}"


def _tick_all(bench: Bench) -> None:
    bench.feed(lambda _: _RATE)
    for name in bench.books:
        bench.store.run_tick(name, bench.now_ms)


def _let_be_active(bench: Bench, names: Sequence[str]) -> None:
    client = bench.server.client
    client.delete(TICKERS)
    client.zadd(TICKERS, dict.fromkeys(names, bench.now_ms))
    client.hset(HEARTBEAT, mapping={"fanout": bench.now_ms, "tick": bench.now_ms})


def _answer(reader: Reader, name: str) -> None:
    reply = ask(reader, name).reply
    _ = reply.text, reply.json


def _scan(reader: Reader) -> None:
    found = scan(reader)
    if not found.events:
        raise click.ClickException("no event is found")
    reply = RenderedReply(found)
    _ = reply.text, reply.json


def _took(server: Server, ask: Callable[..., None], *arguments: object) -> _Took:
    cpu_before = time.process_time() + server.cpu_seconds()
    start = time.perf_counter()
    ask(*arguments)
    seconds = time.perf_counter() - start
    cpu_seconds = time.process_time() + server.cpu_seconds() - cpu_before
    return _Took(seconds * 1000, cpu_seconds * 1000)


if __name__ == "__main__":
    main()
