"""Measure what a tick's cost grows with: the new records, not those already in the window."""

from collections.abc import Callable, Iterable, Sequence
from statistics import median

from benchmarks.harness import private_redis, spread, table
from benchmarks.ticking import Bench

_NEW = 10
_HELD = (1, 10, 50)
_NEW_COUNTS = (1, 10, 100, 300, 1000)
_WIDTHS = (10, 64, 200, 1000)


def run(*, quick: bool) -> str:
    """Measure, and return the README's section."""
    ticks = 20 if quick else 100
    held = _held(ticks)
    new = _new(ticks)
    widths = _widths(ticks)
    per_record = (median(new[-1]) - median(new[1])) / (_NEW_COUNTS[-1] - _NEW_COUNTS[1])
    return "\n\n".join(
        [
            "CPU µs a warm tick in this process, medians (least..greatest).",
            _table(
                f"held in the window ({_NEW} new)", [f"{n * _NEW * 300:,}" for n in _HELD], held
            ),
            "Target: ≤ 1.1 ×.",
            _table("new records", [f"{n:,}" for n in _NEW_COUNTS], new),
            (
                f"Each further quote, read and decoded and folded: {per_record:.1f} µs "
                "(target, from bytes to folded: ≤ 6 µs)."
            ),
            _table("prices of a side in the window", [f"{n:,}" for n in _WIDTHS], widths),
        ]
    )


def _table(what: str, names: Iterable[str], costs: Sequence[Sequence[float]]) -> str:
    first = median(costs[0])
    rows = [
        (name, spread(cost), f"{median(cost) / first:.2f}")
        for name, cost in zip(names, costs, strict=True)
    ]
    return table((what, "µs", "× the first"), rows)


def _side_by_side(
    bench: Bench, rate_of: Callable[[str], int], ticks: int, *, roams: bool = False
) -> list[list[float]]:
    """Tick all tickers in turn, so that other load on the machine affects all of them alike."""
    costs: list[list[float]] = [[] for _ in bench.books]
    for _ in range(ticks):
        bench.feed(rate_of, roams=roams)
        for index, name in enumerate(bench.books):
            costs[index].append(bench.tick(name))
    return costs


def _held(ticks: int) -> list[list[float]]:
    with private_redis() as server:
        rates = {f"HELD{times}": times * _NEW for times in _HELD}
        bench = Bench(server, rates)
        bench.fill(rates.__getitem__)
        return _side_by_side(bench, lambda _: _NEW, ticks)


def _new(ticks: int) -> list[list[float]]:
    with private_redis() as server:
        rates = {f"NEW{number}": number for number in _NEW_COUNTS}
        bench = Bench(server, rates)
        bench.fill(lambda _: _NEW)
        return _side_by_side(bench, rates.__getitem__, ticks)


def _widths(ticks: int) -> list[list[float]]:
    costs = []
    with private_redis() as server:
        for width in _WIDTHS:
            bench = Bench(server, [f"WIDE{width}"], width=width)
            bench.fill(lambda _: _NEW, roams=True)
            costs += _side_by_side(bench, lambda _: _NEW, ticks, roams=True)
    return costs
