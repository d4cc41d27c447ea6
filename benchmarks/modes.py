"""The fast path beside stock Celery, and what a sample of traced ticks costs."""

from statistics import median

from benchmarks.harness import table
from benchmarks.system import REAL, WORKERS, Held, Load, cases_table, hold, largest, tried

_COMPARED = 1200


def run(*, quick: bool) -> str:
    """Measure and describe."""
    seconds, warm, tries, repeats = (10, 10, 4, 1) if quick else (30, 15, 7, 3)
    held = [
        hold(Load(tickers, 10, seconds, REAL, warm, fast_path=fast_path))
        for tickers in (200, 600, _COMPARED)
        for fast_path in (True, False)
    ]
    fast, fast_runs = largest(lambda n: Load(n, 10, seconds, REAL, warm), 900, tries)
    stock, stock_runs = largest(
        lambda n: Load(n, 10, seconds, REAL, warm, fast_path=False), 600, tries
    )
    return "\n\n".join(
        [
            (
                f"Shards and solo workers: {WORKERS}, {seconds} s after {warm} s of warming up, "
                "10 quotes/s; otherwise as `system`."
            ),
            cases_table(held),
            (
                f"**Largest number of tickers that holds {seconds} s: {fast} with the fast path "
                f"(tried: {tried(fast_runs)}), {stock} on stock Celery (tried: "
                f"{tried(stock_runs)}).**"
            ),
            _tracing(seconds, warm, repeats),
        ]
    )


def _tracing(seconds: int, warm: int, repeats: int) -> str:
    """Compare by turns, so that both meet the same machine."""
    runs: dict[int, list[Held]] = {0: [], 20: []}
    for _ in range(repeats):
        for traced, held in runs.items():
            load = Load(_COMPARED, 10, seconds, REAL, warm, traced_ticks=traced)
            held.append(hold(load))
    costs = {traced: [one.cpu_us_a_tick for one in held] for traced, held in runs.items()}
    rows = [
        (f"{traced}", f"{median(found):.0f}", ", ".join(f"{one:.0f}" for one in found))
        for traced, found in costs.items()
    ]
    share = median(costs[20]) / median(costs[0]) - 1
    head = ("traced ticks a second and worker", "µs CPU a tick, median", "each run")
    return (
        f"{table(head, rows)}\n\nTracing costs {share:+.1%} of a tick at {_COMPARED} tickers "
        "(target ≤ 2 %)."
    )
