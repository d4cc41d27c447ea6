"""The kinds of faults. Each begins a fault, ends it, and checks that it had an effect."""

import json
import signal
import time
from collections.abc import Callable
from pathlib import Path

import redis

from app.storage.keys import MOVED_SHARDS
from tests.faults.clock_kinds import (
    all_clocks_ahead,
    all_clocks_behind,
    beat_clock,
    feed_clock_ahead,
    feed_clock_behind,
    reader_clock,
    worker_clocks,
)
from tests.faults.context import (
    FaultContext,
    count_error,
    count_refused,
    ignore_redis_errors,
    kill,
    require,
)
from tests.faults.feed_kinds import delayed_feed, late_feed, refused_flood
from tests.faults.million_quotes import MILLION, write_million_quotes
from tests.faults.shared_names import REFUSED_FAN_OUTS, REFUSED_WRITES, UP
from tests.faults.system import WORKERS, pass_time
from tests.processes import Running, wait_until

EXACT, LATE, LOST = "exact", "late", "lost"
LATE_SHARE = 0.2
"""Which part of the records comes late in the kind `late-records`."""
FREEZE_SECONDS = 10.0
NEWER_ENGINE = "99"
BIG = "BIG"
HUGE = "HUGE"
_NO_SERVER = 1
"""A port that no server listens on."""
_FILLERS = 400
_KEY_DELAY_US = 10_000
_LOADING_OPTIONS = ("--rdbcompression", "no", "--loading-process-events-interval-bytes", "1024")

Fault = Callable[[FaultContext], str]


def _worker_again(context: FaultContext, number: int) -> None:
    pass_time(context.random.uniform(0.2, 2.0))
    context.system.workers[number] = context.system.start_worker(number)
    context.system.await_ready(context.system.workers[number])


def _end_worker(context: FaultContext, number: int, sign: int) -> str:
    """Kill a worker; its tickers must be ticked by another one, at once."""
    victim = context.system.workers[number]
    before = context.newest()
    theirs = [t for t, pid in context.last_tick_processes().items() if pid == victim.pid]
    kill(victim, sign)
    context.note_end(f"worker ended by {signal.Signals(sign).name}")
    context.await_ticks_after(before)
    now = context.last_tick_processes()
    require(all(now[t] != victim.pid for t in context.tickers), "a dead worker ticks")
    _worker_again(context, number)
    return f"worker {victim.pid} had {theirs or 'no ticker'}"


def _busy_worker(context: FaultContext) -> int:
    return context.system.worker_of(context.random.choice(list(context.tickers)))


def kill_worker(context: FaultContext) -> str:
    """Kill -9 of a worker that ticks."""
    return _end_worker(context, _busy_worker(context), signal.SIGKILL)


def term_worker(context: FaultContext) -> str:
    """SIGTERM of a worker that ticks."""
    return _end_worker(context, _busy_worker(context), signal.SIGTERM)


def kill_fan_out_worker(context: FaultContext) -> str:
    """Kill -9 of the worker that fanned out last."""
    shard = context.random.randrange(WORKERS)
    return _end_worker(context, context.system.worker_of(f"fanout {shard}"), signal.SIGKILL)


def hold_a_tick(context: FaultContext) -> tuple[str, Running, int]:
    """Stop a tick between its read and its write; return its ticker and worker."""
    ticker = context.random.choice(list(context.tickers))
    context.system.request("hold", ticker)
    held = context.system.requests / "held"
    wait_until(lambda: held.exists() and held.read_text().isdecimal(), "a tick is held")
    pid = int(held.read_text())
    number = next(n for n, worker in context.system.workers.items() if worker.pid == pid)
    return ticker, context.system.workers[number], number


def kill_holder(context: FaultContext) -> str:
    """Kill -9 of a worker between a tick's read and its write."""
    ticker, victim, number = hold_a_tick(context)
    before = context.newest()
    kill(victim, signal.SIGKILL)
    (context.system.requests / "held").unlink()
    context.note_end("worker killed that held a tick")
    context.await_ticks_after(before)
    _worker_again(context, number)
    return f"{victim.pid} held {ticker}"


def overtake_holder(context: FaultContext) -> str:
    """Freeze a worker between a tick's read and its write until others have gone on."""
    ticker, victim, _ = hold_a_tick(context)
    refused = context.system.last_actions().get(REFUSED_WRITES, 0)
    before = context.newest()
    victim.process.send_signal(signal.SIGSTOP)
    context.note_end("tick frozen before its write")
    context.await_ticks_after(before)
    pass_time(context.random.uniform(0.0, 3.0))
    (context.system.requests / "held").unlink()
    victim.process.send_signal(signal.SIGCONT)
    context.system.await_true(
        lambda: context.system.last_actions().get(REFUSED_WRITES, 0) > refused,
        "its write is refused",
    )
    return f"{victim.pid} was overtaken on {ticker}"


def freeze_worker(context: FaultContext) -> str:
    """SIGSTOP of a worker for 10 s, and thaw."""
    victim = context.system.workers[_busy_worker(context)]
    before = context.newest()
    victim.process.send_signal(signal.SIGSTOP)
    context.note_end("worker frozen")
    context.await_ticks_after(before)
    moved = context.last_tick_processes()
    pass_time(FREEZE_SECONDS)
    now = context.last_tick_processes()
    victim.process.send_signal(signal.SIGCONT)
    context.note_end("worker thawed")
    require(victim.pid not in now.values(), "a frozen worker ticks")
    return f"{victim.pid} was still, others had {sorted(moved)}"


def _end_beat(context: FaultContext, sign: int) -> str:
    system = context.system
    assert system.beat is not None
    kill(system.beat, sign)
    pass_time(2.5)
    before = context.newest()
    pass_time(1.5)
    require(context.newest() == before, "ticks went on without a beat")
    system.beat = system.start_beat()
    up = f"{UP}{system.beat.pid}"
    system.await_true(lambda: up in system.last_actions(), "beat is up")
    context.note_end("beat started")
    context.await_ticks_after(before)
    return "ticks stood still without it"


def kill_beat(context: FaultContext) -> str:
    """Kill -9 of beat."""
    return _end_beat(context, signal.SIGKILL)


def term_beat(context: FaultContext) -> str:
    """SIGTERM of beat."""
    return _end_beat(context, signal.SIGTERM)


def two_beats(context: FaultContext) -> str:
    """Run a second beat for a while, after which either of the two dies."""
    system = context.system
    assert system.beat is not None
    refused = system.last_actions().get(REFUSED_FAN_OUTS, 0)
    second = system.start_beat()
    system.await_true(
        lambda: system.last_actions().get(REFUSED_FAN_OUTS, 0) > refused + 3, "the guard holds"
    )
    first, stay = (system.beat, second) if context.random.random() < 0.5 else (second, system.beat)
    before = context.newest()
    kill(first, signal.SIGKILL)
    context.note_end("one of two beats killed")
    system.beat = stay
    context.await_ticks_after(before)
    return "the second's fan-outs were refused"


def _end_server(context: FaultContext, sign: int, *, empty: bool, seconds: float) -> str:
    system = context.system
    assert system.server is not None
    was = system.client.info("server")["run_id"]
    kill(system.server, sign)
    pass_time(0.5)
    before = context.newest()
    pass_time(seconds)
    require(context.newest() == before, "ticks were seen without Redis")
    if empty:
        system.forget_data()
    system.start_server()
    context.note_end("Redis started" + (" empty" if empty else ""))
    require(system.client.info("server")["run_id"] != was, "the same server answers")
    context.await_ticks_after(before)
    return f"away for {seconds:.0f} s"


def restart_redis(context: FaultContext) -> str:
    """Redis stopped for 5 s and started with its data."""
    sign = context.random.choice((signal.SIGTERM, signal.SIGKILL))
    return _end_server(context, sign, empty=False, seconds=5.0)


def restart_redis_empty(context: FaultContext) -> str:
    """Redis stopped and started without its data."""
    return _end_server(context, signal.SIGTERM, empty=True, seconds=2.0)


def freeze_redis(context: FaultContext) -> str:
    """Redis frozen for some seconds."""
    system = context.system
    assert system.server is not None
    seconds = context.random.uniform(3.0, 6.0)
    system.server.process.send_signal(signal.SIGSTOP)
    pass_time(0.3)
    before = context.newest()
    pass_time(seconds)
    require(context.newest() == before, "ticks were seen of a frozen Redis")
    system.server.process.send_signal(signal.SIGCONT)
    context.note_end("Redis thawed")
    context.await_ticks_after(before)
    return f"frozen for {seconds:.1f} s"


def cut_connections(context: FaultContext) -> str:
    """All connections killed, several times."""
    cut = 0
    for _ in range(context.random.randint(1, 4)):
        before = context.newest()
        command = ("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        cut += int(context.system.client.execute_command(*command))
        context.note_end("connections cut")
        context.await_ticks_after(before)
    require(cut > 0, "no connection was cut")
    return f"{cut} connections"


def out_of_memory(context: FaultContext) -> str:
    """Redis refuses all that needs memory for some seconds."""
    client = context.system.client
    before = count_error(client, "OOM")
    client.config_set("maxmemory-policy", "noeviction")
    client.config_set("maxmemory", "1mb")
    pass_time(4.0)
    newest = context.newest()
    refused = count_error(client, "OOM") - before
    client.config_set("maxmemory", "0")
    context.note_end("memory given back")
    require(refused > 0, "nothing was refused")
    context.await_ticks_after(newest)
    return f"{refused} commands refused"


def _refuse(
    context: FaultContext, code: str, begin: Callable[[], object], end: Callable[[], object]
) -> str:
    """Let Redis refuse writes for some seconds, and require that every process stays."""
    system = context.system
    seconds = context.random.uniform(3.0, 8.0)
    before = count_error(system.client, code)
    begin()
    pass_time(seconds)
    newest = context.newest()
    refused = count_error(system.client, code) - before
    end()
    context.note_end(f"{code} ended")
    require(refused > 0, "nothing was refused")
    context.await_ticks_after(newest)
    for process in (system.beat, *system.workers.values()):
        require(process is not None and process.process.poll() is None, "a process ended")
    return f"{refused} commands refused in {seconds:.1f} s"


def read_only(context: FaultContext) -> str:
    """Let Redis be a replica, as after a failover, and a primary again."""
    client = context.system.client
    return _refuse(
        context,
        "READONLY",
        lambda: client.replicaof("127.0.0.1", _NO_SERVER),
        lambda: client.replicaof("NO", "ONE"),
    )


def failed_save(context: FaultContext) -> str:
    """Let Redis fail to save, by a folder in the file's place; it refuses writes then."""

    def mend() -> None:
        _dump(context).rmdir()
        _save(context, "ok")
        context.system.client.config_set("save", "")

    return _refuse(context, "MISCONF", lambda: fail_to_save(context), mend)


def fail_to_save(context: FaultContext) -> None:
    """Let a save fail by a folder in the file's place."""
    _dump(context).unlink(missing_ok=True)
    _dump(context).mkdir()
    _save(context, "err")


def _dump(context: FaultContext) -> Path:
    return context.system.folder / "data" / "dump.rdb"


def _save(context: FaultContext, status: str) -> None:
    client = context.system.client
    client.config_set("save", "3600 1000000")
    client.bgsave()
    wait_until(lambda: client.info("persistence")["rdb_last_bgsave_status"] == status, "it saved")


def too_few_replicas(context: FaultContext) -> str:
    """Let Redis want a replica that it does not have."""
    client = context.system.client
    return _refuse(
        context,
        "NOREPLICAS",
        lambda: client.config_set("min-replicas-to-write", 1),
        lambda: client.config_set("min-replicas-to-write", 0),
    )


def slow_loading(context: FaultContext) -> str:
    """Restart Redis so that it loads its data for some seconds, and answers LOADING meanwhile."""
    system = context.system
    began = time.monotonic()
    before = load_slowly(context, _FILLERS)
    refused = 0
    while not system.answers():
        refused += count_refused(system.client, redis.BusyLoadingError)
    seconds = time.monotonic() - began
    system.client.config_set("key-load-delay", 0)
    context.note_end("LOADING ended")
    require(refused > 0, "nothing was refused")
    context.await_ticks_after(before)
    return f"loaded for {seconds:.1f} s"


def load_slowly(context: FaultContext, fillers: int) -> dict[str, int]:
    """Restart Redis with more keys, which it loads slowly; return the newest ticks before."""
    system = context.system
    assert system.server is not None
    for number in range(fillers):
        system.client.set(f"faults:filler:{number}", context.random.randbytes(600))
    system.client.bgrewriteaof()
    wait_until(
        lambda: not system.client.info("persistence")["aof_rewrite_in_progress"], "it is rewritten"
    )
    kill(system.server, signal.SIGTERM)
    before = context.newest()
    system.launch_server("--key-load-delay", str(_KEY_DELAY_US), *_LOADING_OPTIONS)
    return before


def backlog(context: FaultContext) -> str:
    """Let a ticker appear with very many waiting records; nobody waits for it."""
    context.sampler.tickers.append(BIG)
    newest = context.newest()
    pending = [p for p in context.broker.waiting if p.ticker == BIG]
    require(len(pending) > 10_000, "there is no backlog")
    now_ms = time.time() * 1000.0
    for posting in pending:
        posting.due_ms = min(posting.due_ms, now_ms)
    context.broker.waiting.sort(key=lambda posting: posting.due_ms)
    context.note_end("a backlog appeared")
    context.await_ticks_after(newest)

    def is_behind() -> bool:
        found = [s for s in context.sampler.samples if s.ticker == BIG]
        return any("behind_seconds" in s.quality("10s") for s in found)

    wait_until(is_behind, "it is shown to be behind")
    wait_until(
        lambda: context.sampler.newest(BIG) >= max(context.newest().values()) - 2000, "caught up"
    )
    return f"{len(pending)} records"


def million(context: FaultContext) -> str:
    """Let a ticker appear with a million waiting records; the others go on beside it."""
    client, newest = context.system.client, context.newest()
    write_million_quotes(client, HUGE)
    context.note_end("a million records appeared")
    context.await_ticks_after(newest)

    shown: set[str] = set()

    def is_caught_up() -> bool:
        as_of, quality = client.hmget(f"orderflow:metrics:{HUGE}:5min", "as_of", "quality")
        shown.update(json.loads(quality or b"{}"))
        return float(as_of or 0) > time.time() * 1000.0 - 3000.0

    wait_until(is_caught_up, "caught up")
    require("behind_seconds" in shown, "it was never shown to be behind")
    require("gaps" in shown, "what was never folded was no gap")
    kept = client.zcard(f"orderflow:quotes:{HUGE}")
    require(kept < MILLION, "nothing was trimmed")
    return f"{MILLION} records, {kept} kept"


def _step(context: FaultContext, offset_ms: float, seconds: float) -> None:
    context.system.request("clock", str(offset_ms))
    pass_time(seconds)
    (context.system.requests / "clock").unlink()


def clock_back(context: FaultContext) -> str:
    """Set the system's clock 5 s back for a while, and right again."""
    before = context.newest()
    _step(context, -5000.0, 4.0)
    after = context.newest()
    context.note_end("clock right again")
    require(all(after[t] - before[t] < 2500 for t in context.tickers), "ticks did not notice")
    context.await_ticks_after(after)
    return "ticks stood still"


def clock_ahead(context: FaultContext) -> str:
    """Set the system's clock 5 s ahead for a while, and right again."""
    _step(context, 5000.0, 4.0)
    ahead = min(context.newest().values()) - time.time() * 1000.0
    require(ahead > 1000.0, "ticks did not notice")
    # A tick that is under way may still be one ahead: what is published decides.
    wait_until(lambda: time.time() * 1000.0 > max(context.newest().values()), "the clock caught up")
    context.note_end("clock caught up with")
    context.await_ticks_after(context.newest())
    return f"ticks were {ahead / 1000:.1f} s ahead"


def silence_and_burst(context: FaultContext) -> str:
    """Let the broker write nothing for a while and then everything at once."""
    context.broker.is_silent = True
    pass_time(context.random.uniform(3.0, 6.0))
    require(bool(context.broker.waiting), "nothing waited")
    count = len(context.broker.done)
    context.broker.is_silent = False
    context.note_end("the broker writes again")
    wait_until(lambda: len(context.broker.done) > count, "the burst")
    return f"{len(context.broker.done) - count} records at once"


def late_records(context: FaultContext) -> str:
    """Write a fifth of the records up to 1.7 s late."""
    before = context.broker.delayed
    context.broker.late_share = LATE_SHARE
    pass_time(5.0)
    context.broker.late_share = 0.0
    require(context.broker.delayed > before, "none was late")
    pass_time(2.0)
    require(
        any("late" in s.quality("10s") for s in context.sampler.samples[-12:]),
        "none is shown as late",
    )
    return f"{context.broker.delayed - before} late"


def copies(context: FaultContext) -> str:
    """Write records twice."""
    before = context.broker.copies
    context.broker.copied_share = 0.5
    pass_time(4.0)
    context.broker.copied_share = 0.0
    require(context.broker.copies > before, "none was written twice")
    return f"{context.broker.copies - before} twice"


def shuffled(context: FaultContext) -> str:
    """Write records in another order than they are stamped in."""
    before = context.broker.inversions
    context.broker.shuffles = True
    pass_time(5.0)
    context.broker.shuffles = False
    require(context.broker.inversions > before, "all were in order")
    return f"{context.broker.inversions - before} out of order"


def state_lost(context: FaultContext) -> str:
    """All states deleted."""
    before = context.newest()
    names = [f"orderflow:state:{ticker}" for ticker in context.tickers]
    require(context.system.client.delete(*names) > 0, "there was no state")
    context.note_end("states deleted")
    context.await_ticks_after(before)
    return "states deleted"


def state_garbled(context: FaultContext) -> str:
    """States that can't be read, or of the wrong type."""
    before = context.newest()
    kinds = []
    for ticker in context.tickers:
        name = f"orderflow:state:{ticker}"
        kind = context.random.choice(("blob", "as_of", "engine", "type"))
        kinds.append(kind)
        if kind == "type":
            context.system.client.set(name, "no state")
        else:
            garbled = {kind: b"\xc1garbled", "version": "garbled"}
            context.system.client.hset(name, mapping=garbled)
    context.note_end("states garbled")
    context.await_ticks_after(before)
    aside = list(context.system.client.scan_iter("orderflow:bad:state:*"))
    require(len(aside) == len(context.tickers), f"set aside: {aside}")
    require(all(0 < context.system.client.ttl(name) <= 86400 for name in aside), "kept for ever")
    return " ".join(kinds)


def newer_engine(context: FaultContext) -> str:
    """Run a worker with newer definitions beside older ones, which then end."""
    system = context.system
    system.worker_settings = {"ORDERFLOW_FAULTS_ENGINE": NEWER_ENGINE}
    newer = system.start_worker(0)
    system.await_ready(newer)
    # An earlier fault may have moved all tickers to the other shard: then none would come to it.
    ignore_redis_errors(lambda: system.client.delete(MOVED_SHARDS))

    def theirs() -> set[str]:
        names = {ticker: f"orderflow:state:{ticker}" for ticker in context.tickers}
        return {
            t
            for t, name in names.items()
            if system.client.hget(name, "engine") == NEWER_ENGINE.encode()
        }

    system.await_true(lambda: bool(theirs()), "the newer one has a ticker")
    taken = theirs()
    pass_time(4.0)
    require(taken <= theirs(), "an older one took a ticker back")
    before = context.newest()
    for old in system.workers.values():
        kill(old, signal.SIGKILL)
    context.note_end("the older ones ended")
    system.workers = {0: newer}
    context.await_ticks_after(before)
    system.workers[1] = system.start_worker(1)
    system.await_ready(system.workers[1])
    require(len(theirs()) == len(context.tickers), "a ticker stayed the older one's")
    return f"the newer one took {sorted(taken)} at first"


def wrong_types(context: FaultContext) -> str:
    """Give published keys the wrong type, twice."""
    client = context.system.client
    for _ in range(2):
        before = context.newest()
        for ticker in context.tickers:
            for key in (f"metrics:{ticker}:1min", f"patterns:{ticker}", f"levels:{ticker}:bid"):
                ignore_redis_errors(lambda key=key: client.set(f"orderflow:{key}", "wrong"))
        context.note_end("keys of the wrong type")
        context.await_ticks_after(before)
    aside = list(client.scan_iter("orderflow:bad:*"))
    require(bool(aside), "nothing was set aside")
    require(all(0 < client.ttl(name) <= 86400 for name in aside), "kept for ever")
    return f"{len(aside)} set aside"


KINDS: dict[str, tuple[str, Fault]] = {
    "kill-worker": (EXACT, kill_worker),
    "restart-redis": (LATE, restart_redis),
    "term-worker": (EXACT, term_worker),
    "late-records": (LATE, late_records),
    "kill-holder": (EXACT, kill_holder),
    "restart-empty": (LOST, restart_redis_empty),
    "overtake-holder": (EXACT, overtake_holder),
    "kill-fan-out-worker": (EXACT, kill_fan_out_worker),
    "freeze-redis": (LATE, freeze_redis),
    "freeze-worker": (EXACT, freeze_worker),
    "kill-beat": (EXACT, kill_beat),
    "state-lost": (LOST, state_lost),
    "two-beats": (EXACT, two_beats),
    "cut-connections": (EXACT, cut_connections),
    "out-of-memory": (LATE, out_of_memory),
    "read-only": (LATE, read_only),
    "failed-save": (LATE, failed_save),
    "too-few-replicas": (LATE, too_few_replicas),
    "slow-loading": (LATE, slow_loading),
    "backlog": (EXACT, backlog),
    "million": (EXACT, million),
    "clock-back": (EXACT, clock_back),
    "state-garbled": (LOST, state_garbled),
    "clock-ahead": (LATE, clock_ahead),
    "silence": (LATE, silence_and_burst),
    "copies": (EXACT, copies),
    "shuffled": (EXACT, shuffled),
    "newer-engine": (LOST, newer_engine),
    "term-beat": (EXACT, term_beat),
    "wrong-types": (LATE, wrong_types),
    "late-feed": (LATE, late_feed),
    "delayed-feed": (EXACT, delayed_feed),
    "refused-flood": (EXACT, refused_flood),
    "beat-clock": (EXACT, beat_clock),
    "worker-clocks": (EXACT, worker_clocks),
    "all-clocks-ahead": (EXACT, all_clocks_ahead),
    "all-clocks-behind": (EXACT, all_clocks_behind),
    "feed-clock-ahead": (EXACT, feed_clock_ahead),
    "feed-clock-behind": (EXACT, feed_clock_behind),
    "reader-clock": (EXACT, reader_clock),
}
