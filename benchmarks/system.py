"""Everything at once: feed, beat, fan-out, workers, Redis and a reader, each told apart."""

import contextlib
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

import click
import psutil

from benchmarks.harness import Server, private_redis, process, quantile, table
from benchmarks.noop import WORKER
from benchmarks.watcher import Seen

REAL = "tasks"
NOOP, NOOP_OURS = "benchmarks.noop_app", "benchmarks.noop_ours_app"
KINDS = {REAL: "ticks", NOOP: "no-op", NOOP_OURS: "no-op, messages as ours"}
HELD_SHARE = 0.999
WORKERS = 3
_SAMPLE = 20
_PRECISION = 0.08
_START_SECONDS = 60


@dataclass(frozen=True, slots=True)
class Load:
    """What is to be held for how long."""

    tickers: int
    rate: int
    seconds: int
    app: str = REAL
    warm_up_seconds: int = 10
    fast_path: bool = True
    traced_ticks: int = 20

    @property
    def kind(self) -> str:
        """Return what runs."""
        is_stock = self.app == REAL and not self.fast_path
        return KINDS[self.app] + (" on stock Celery" if is_stock else "")

    @property
    def environment(self) -> dict[str, str]:
        """Return the settings of all processes; `NOOP` has no fast path."""
        return {
            "ORDERFLOW_FAST_PATH": str(int(self.fast_path and self.app != NOOP)),
            "ORDERFLOW_TRACED_TICKS": str(self.traced_ticks),
        }


@dataclass(slots=True)
class Held:
    """What became of it. CPU in % of a core by process, memory in MB."""

    load: Load
    share: float
    waited_ms: list[float]
    backlog: int
    skipped: int
    done: int
    seconds: float = 0.0
    cpu: dict[str, float] = field(default_factory=dict)
    rss: dict[str, float] = field(default_factory=dict)
    redis_kb_a_ticker: float = 0.0
    keys_kb: dict[str, float] = field(default_factory=dict)

    @property
    def holds(self) -> bool:
        """Tell whether nearly all ticks were readable in time and nothing was left over."""
        return self.share >= HELD_SHARE and self.skipped <= self.load.tickers * 0.01

    @property
    def cpu_us_a_tick(self) -> float:
        """Return what beat and workers spent on a tick that was done."""
        ours = sum(used for name, used in self.cpu.items() if name.startswith(("beat", "worker")))
        return ours * 1e4 * self.seconds / max(1, self.done)

    @property
    def redis_us_a_tick(self) -> float:
        """Return what Redis spent for each, the feed's and the reader's commands included."""
        return self.cpu["redis"] * 1e4 * self.seconds / max(1, self.done)


@contextlib.contextmanager
def loaded(server: Server, load: Load) -> Iterator[dict[str, psutil.Process]]:
    """Run all that a load needs, by name; `seconds` and warming up are the caller's."""
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    with contextlib.ExitStack() as stack:

        def start(name: str, *words: str, **more: str) -> None:
            command = (sys.executable, "-m", *words)
            environment = {**server.environment, **load.environment, **more}
            running[name] = stack.enter_context(process(*command, env=environment, **quiet))

        running: dict[str, psutil.Process] = {"redis": server.process}
        feed = [server.environment["REDIS_PORT"], str(load.tickers), str(load.rate), "0"]
        for number in range(WORKERS):
            words = ("celery", "-A", load.app, *WORKER, "-n", f"w{number}@%h")
            start(f"worker {number + 1}", *words, ORDERFLOW_SHARD=str(number))
        start("feed", "benchmarks.feeder", *feed)
        start("beat", "celery", "-A", load.app, "beat", "-l", "WARNING")
        yield running


def hold(load: Load) -> Held:
    """Run a load and watch it."""
    with private_redis() as server:
        empty = int(server.client.info("memory")["used_memory"])
        with loaded(server, load) as running:
            ticks_began(server)
            time.sleep(load.warm_up_seconds)
            before, counted = _cpu(running), counters(server)
            start = time.monotonic()
            seen = _watched(server, load)
            elapsed = time.monotonic() - start
            after, now = _cpu(running), counters(server)
            held = _held(load, seen, {name: now[name] - counted[name] for name in now})
            _wait_for_the_end_of_a_second(server)
            held.backlog = sum(server.client.llen(f"ticks.{i}") for i in range(WORKERS))
            held.seconds = elapsed
            held.cpu = {n: (after[n] - before[n]) / elapsed * 100 for n in before}
            held.rss = {n: p.memory_info().rss / 2**20 for n, p in running.items()}
            used = int(server.client.info("memory")["used_memory"])
            held.redis_kb_a_ticker = (used - empty) / 1024 / load.tickers
            held.keys_kb = _keys_kb(server)
    return held


def ticks_began(server: Server) -> None:
    """Wait until the processes are up: how long that takes is no matter of this measurement."""
    deadline = time.monotonic() + _START_SECONDS
    while not counters(server)["ticks_done"]:
        if time.monotonic() > deadline:
            raise click.ClickException(f"no tick within {_START_SECONDS} s")
        time.sleep(0.1)


def _wait_for_the_end_of_a_second(server: Server) -> None:
    """Wait until just before the next ticks go out: what waits then is a backlog."""
    settle_seconds = server.settings().settle_ms / 1000
    time.sleep((settle_seconds - 0.02 - time.time()) % 1.0)


def _held(load: Load, seen: Seen | None, counted: Mapping[str, int]) -> Held:
    skipped = counted["ticks_skipped"]
    if seen is None:
        published = max(1, counted["ticks_published"])
        late = max(skipped, published - counted["ticks_done"] - load.tickers)
        # What was published and never came, or too little published at all.
        due = load.seconds * load.tickers
        share = min(1 - late / published, published / max(1, due - load.tickers))
        return Held(load, min(1.0, share), [], 0, skipped, counted["ticks_done"])
    share = sum(seen.readable) / max(1, load.tickers * seen.ticks)
    return Held(load, share, seen.waited_ms, 0, skipped, counted["ticks_done"])


def _watched(server: Server, load: Load) -> Seen | None:
    """Let a reader watch; no-op ticks leave nothing to see."""
    if load.app != REAL:
        time.sleep(load.seconds)
        return None
    words = [server.environment["REDIS_PORT"], str(load.tickers), str(_SAMPLE), str(load.seconds)]
    command = [sys.executable, "-m", "benchmarks.watcher", *words, str(server.settings().settle_ms)]
    said = subprocess.run(  # noqa: S603 - our own reader
        command, env=server.environment, capture_output=True, text=True, check=True
    ).stdout
    return Seen(**json.loads(said))


def _cpu(running: Mapping[str, psutil.Process]) -> dict[str, float]:
    return {name: sum(one.cpu_times()[:2]) for name, one in running.items()}


def counters(server: Server) -> dict[str, int]:
    """Return the totals of ticks."""
    names = ("ticks_done", "ticks_published", "ticks_skipped", "ticks_failed")
    found = server.client.hmget("orderflow:counters", names)
    return {name: int(value or 0) for name, value in zip(names, found, strict=True)}


def _keys_kb(server: Server) -> dict[str, float]:
    names = [name.decode() for name in server.client.scan_iter("orderflow:*:T0*", count=10_000)]
    found = {}
    for name in sorted(names):
        used = server.client.memory_usage(name, samples=0) or 0
        found[name.removeprefix("orderflow:")] = used / 1024
    return found


def largest(load_of: Callable[[int], Load], first: int, tries: int) -> tuple[int, list[Held]]:
    """Search the largest number of tickers that holds: up by half, then between."""
    good, bad, runs = 0, 0, []
    number = first
    for _ in range(tries):
        held = hold(load_of(number))
        runs.append(held)
        click.echo(f"  {held.load.kind}, {number} tickers: {_verdict(held)}", err=True)
        if held.holds:
            good = number
        else:
            bad = number
        if bad and bad - good <= _PRECISION * bad:
            break
        number = _next(good, bad)
    return good, runs


def _next(good: int, bad: int) -> int:
    if not bad:
        return good * 3 // 2
    return (good + bad) // 2 if good else bad // 2


def _verdict(held: Held) -> str:
    word = "holds" if held.holds else "does NOT hold"
    return f"{word}, {held.share:.2%} in time, {held.skipped} skipped"


def run(*, quick: bool) -> str:
    """Measure and describe."""
    seconds, warm, tries = (10, 10, 4) if quick else (60, 15, 8)
    held = [hold(Load(*case, seconds, warm_up_seconds=warm)) for case in _cases(quick=quick)]
    # The same loads with ticks that do nothing, side by side.
    beside = [
        hold(Load(one.load.tickers, one.load.rate, seconds, app, warm))
        for one in (held[:1] if quick else held[1:2])
        for app in (NOOP, NOOP_OURS)
    ]
    short = 8 if quick else 20
    most, ours = largest(lambda n: Load(n, 10, short, REAL, warm), 900, tries)
    ceiling, noops = largest(lambda n: Load(n, 10, short, NOOP, 8), 2700, tries)
    with_ours, tried_with_ours = largest(lambda n: Load(n, 10, short, NOOP_OURS, 8), 4000, tries)
    return "\n\n".join(
        [
            (
                f"Shards and solo workers: {WORKERS}, one Redis, all on this machine; {seconds} s "
                f"after {warm} s of warming up. Share: ticks that a reader could read within 1 s "
                f"of their start (held: ≥ {HELD_SHARE:.1%} and nothing left over). Books walk, "
                "with a print for every ten quotes. "
                f"Waits: of {_SAMPLE} tickers, "
                "polled each 10 ms, from the tick's start."
            ),
            cases_table([*held, *beside]),
            _ratios(held, beside),
            (
                f"**Largest number of tickers at 10 quotes/s that holds {short} s: {most} of "
                f"{ceiling} no-op, {most / max(1, ceiling):.2f} ×** (target ≥ 0.33; tried: "
                f"{tried(ours)}; no-op: {tried(noops)}). With messages as ours {with_ours} no-op "
                f"({tried(tried_with_ours)}), {most / max(1, with_ours):.2f} ×."
            ),
            _processes_table([*held, *beside]),
            _memory(held[0]),
        ]
    )


def _cases(*, quick: bool) -> list[tuple[int, int]]:
    return [(200, 10), (100, 100)] if quick else [(200, 10), (1200, 10), (1500, 10), (500, 100)]


def tried(runs: list[Held]) -> str:
    """Say which numbers of tickers were tried."""
    return ", ".join(f"{r.load.tickers} {'yes' if r.holds else 'no'}" for r in runs)


def _ratios(held: list[Held], beside: list[Held]) -> str:
    """Compare a tick's CPU with that of no-op tasks under the same load."""
    said = [
        f"{one.load.tickers} tickers {one.cpu_us_a_tick / noop.cpu_us_a_tick:.2f} × "
        f"({noop.load.kind})"
        for noop in beside
        for one in held
        if (one.load.tickers, one.load.rate) == (noop.load.tickers, noop.load.rate)
    ]
    return f"**A tick's CPU in beat and workers: {', '.join(said)}** (target ≤ 3)."


def cases_table(runs: list[Held]) -> str:
    """Return a table of runs."""
    rows = []
    for one in runs:
        waits = [_wait(one, q) for q in (0.5, 0.99)]
        word = "yes" if one.holds else "**no**"
        us = f"{one.cpu_us_a_tick:.0f}", f"{one.redis_us_a_tick:.0f}"
        share = f"{one.share:.2%}"
        case = (f"{one.load.tickers} × {one.load.rate}/s", one.load.kind)
        rows.append((*case, share, *waits, f"{one.skipped}", f"{one.backlog}", *us, word))
    costs = ("µs CPU a tick", "Redis' µs")
    head = ("tickers", "", "share", "p50", "p99", "left over", "backlog", *costs, "held")
    return table(head, rows)


def _wait(one: Held, q: float) -> str:
    return f"{quantile(one.waited_ms, q):.0f} ms" if one.waited_ms else "-"


def _processes_table(runs: list[Held]) -> str:
    names = list(runs[0].cpu)
    rows = []
    for one in runs:
        cells = [f"{one.cpu[name]:.0f} %, {one.rss[name]:.0f} MB" for name in names]
        case = f"{one.load.tickers} × {one.load.rate}/s {one.load.kind}"
        rows.append((case, *cells))
    return table(("CPU of a core, memory", *names), rows)


def _memory(held: Held) -> str:
    keys = ", ".join(f"{name} {kb:.1f}" for name, kb in held.keys_kb.items() if "T0" in name)
    return (
        f"Redis: {held.redis_kb_a_ticker:.0f} KB a ticker after this run. One ticker, KB: {keys}."
    )
