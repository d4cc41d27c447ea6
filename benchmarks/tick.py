"""Measure a tick by its parts, warm and cold, against a Celery task that does nothing."""

from collections.abc import Iterator
from statistics import median

from benchmarks.harness import Server, private_redis, spread, table
from benchmarks.noop import NoopCost, noop_cost
from benchmarks.parts import PARTS, Parts, timing_parts
from benchmarks.ticking import Bench

RATES = (10, 50, 500)
_TICKERS = 8


def run(*, quick: bool) -> str:
    """Measure, and return the README's section."""
    seconds = 15 if quick else 60
    with private_redis() as server:
        noop = noop_cost(server, 2000 if quick else 10_000)
        rows = [row for rate in RATES for row in _rate(server, rate, seconds, noop)]
    head = ("quotes/s", "", *PARTS, "sum", "whole tick", "Redis", "× no-op")
    return "\n\n".join(
        [
            (
                "CPU µs a tick, medians over seconds (least..greatest); a print for every ten "
                "quotes. Parts are measured apart from the whole, which they slow down. Redis: its "
                "own CPU for reading and writing the tick, publishing of records left out."
            ),
            table(head, rows),
            (
                f"A no-op task with the same settings: publish {noop.publish_us:.0f} µs, consume "
                f"{noop.consume_us:.0f} µs, Redis {noop.redis_us:.0f} µs. × no-op: (no-op + whole "
                "tick) / no-op in our processes, Redis left out; the target is ≤ 3, warm, at 10/s."
            ),
        ]
    )


def _rate(server: Server, rate: int, seconds: int, noop: NoopCost) -> Iterator[tuple[str, ...]]:
    server.client.flushall()
    bench = Bench(server, [f"R{rate}N{i}" for i in range(_TICKERS)])
    bench.fill(lambda _: rate)
    for kind in ("warm", "cold"):
        yield (f"{rate}", kind, *_measured(bench, rate, seconds, noop, is_cold=kind == "cold"))


def _measured(
    bench: Bench, rate: int, seconds: int, noop: NoopCost, *, is_cold: bool
) -> Iterator[str]:
    whole: list[float] = []
    redis_us: list[float] = []
    found: list[dict[str, float]] = []
    parts = Parts()
    for second in range(seconds):
        bench.feed(lambda _: rate)
        if is_cold:
            bench.forget()
        if second % 3:
            _whole(bench, whole, redis_us)
        else:
            with timing_parts(parts, bench.store):
                for name in bench.books:
                    bench.tick(name)
            found.append(parts.take(len(bench.books)))
    medians = {name: median(one[name] for one in found) for name in PARTS}
    yield from (f"{medians[name]:.0f}" for name in PARTS)
    yield f"{sum(medians.values()):.0f}"
    yield spread(whole)
    yield spread(redis_us)
    yield f"{(noop.ours_us + median(whole)) / noop.ours_us:.1f}"


def _whole(bench: Bench, whole: list[float], redis_us: list[float]) -> None:
    before = bench.server.cpu_seconds()
    spent = [bench.tick(name) for name in bench.books]
    whole.append(sum(spent) / len(spent))
    redis_us.append((bench.server.cpu_seconds() - before) * 1e6 / len(spent))
