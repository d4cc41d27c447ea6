"""The kinds of faults. Each does its harm, ends it, and checks that it was felt."""

import json
import signal
import time
from collections.abc import Callable

from app.storage.keys import MOVED_SHARDS
from tests.faults.pouring import MILLION, pour_million
from tests.faults.scene import Scene, count_error, kill, must, quietly
from tests.faults.stage import WORKERS, pass_time
from tests.faults.staged_names import REFUSED_FAN_OUTS, REFUSED_WRITES, UP
from tests.processes import Running, wait_until

EXACT, LATE, LOST = "exact", "late", "lost"
FREEZE_SECONDS = 10.0
BIG = "BIG"
HUGE = "HUGE"

Fault = Callable[[Scene], str]


def _worker_again(scene: Scene, number: int) -> None:
    pass_time(scene.random.uniform(0.2, 2.0))
    scene.stage.workers[number] = scene.stage.start_worker(number)
    scene.stage.await_ready(scene.stage.workers[number])


def _end_worker(scene: Scene, number: int, sign: int) -> str:
    """Kill a worker; its tickers must be ticked by another one, at once."""
    victim = scene.stage.workers[number]
    before = scene.newest()
    theirs = [t for t, pid in scene.ticked_by().items() if pid == victim.pid]
    kill(victim, sign)
    scene.over(f"worker ended by {signal.Signals(sign).name}")
    scene.await_ticks_after(before)
    now = scene.ticked_by()
    must(all(now[t] != victim.pid for t in scene.tickers), "a dead worker ticks")
    _worker_again(scene, number)
    return f"worker {victim.pid} had {theirs or 'no ticker'}"


def _busy_worker(scene: Scene) -> int:
    return scene.stage.worker_of(scene.random.choice(list(scene.tickers)))


def kill_worker(scene: Scene) -> str:
    """Kill -9 of a worker that ticks."""
    return _end_worker(scene, _busy_worker(scene), signal.SIGKILL)


def term_worker(scene: Scene) -> str:
    """SIGTERM of a worker that ticks."""
    return _end_worker(scene, _busy_worker(scene), signal.SIGTERM)


def kill_fan_out_worker(scene: Scene) -> str:
    """Kill -9 of the worker that fanned out last."""
    shard = scene.random.randrange(WORKERS)
    return _end_worker(scene, scene.stage.worker_of(f"fanout {shard}"), signal.SIGKILL)


def _hold(scene: Scene) -> tuple[str, Running, int]:
    """Stop a tick between its read and its write; returns its ticker and worker."""
    ticker = scene.random.choice(list(scene.tickers))
    scene.stage.request("hold", ticker)
    held = scene.stage.requests / "held"
    wait_until(lambda: held.exists() and held.read_text().isdecimal(), "a tick is held", 10.0)
    pid = int(held.read_text())
    number = next(n for n, worker in scene.stage.workers.items() if worker.pid == pid)
    return ticker, scene.stage.workers[number], number


def kill_holder(scene: Scene) -> str:
    """Kill -9 of a worker between a tick's read and its write."""
    ticker, victim, number = _hold(scene)
    before = scene.newest()
    kill(victim, signal.SIGKILL)
    (scene.stage.requests / "held").unlink()
    scene.over("worker killed that held a tick")
    scene.await_ticks_after(before)
    _worker_again(scene, number)
    return f"{victim.pid} held {ticker}"


def overtake_holder(scene: Scene) -> str:
    """Freeze a worker between a tick's read and its write until others have gone on."""
    ticker, victim, _ = _hold(scene)
    refused = scene.stage.said_by().get(REFUSED_WRITES, 0)
    before = scene.newest()
    victim.process.send_signal(signal.SIGSTOP)
    scene.over("tick frozen before its write")
    scene.await_ticks_after(before)
    pass_time(scene.random.uniform(0.0, 3.0))
    (scene.stage.requests / "held").unlink()
    victim.process.send_signal(signal.SIGCONT)
    scene.stage.await_true(
        lambda: scene.stage.said_by().get(REFUSED_WRITES, 0) > refused, "its write is refused", 5.0
    )
    return f"{victim.pid} was overtaken on {ticker}"


def freeze_worker(scene: Scene) -> str:
    """SIGSTOP of a worker for 10 s, and thaw."""
    victim = scene.stage.workers[_busy_worker(scene)]
    before = scene.newest()
    victim.process.send_signal(signal.SIGSTOP)
    scene.over("worker frozen")
    scene.await_ticks_after(before)
    moved = scene.ticked_by()
    pass_time(FREEZE_SECONDS)
    now = scene.ticked_by()
    victim.process.send_signal(signal.SIGCONT)
    scene.over("worker thawed")
    must(victim.pid not in now.values(), "a frozen worker ticks")
    return f"{victim.pid} was still, others had {sorted(moved)}"


def _end_beat(scene: Scene, sign: int) -> str:
    stage = scene.stage
    assert stage.beat is not None
    kill(stage.beat, sign)
    pass_time(2.5)
    before = scene.newest()
    pass_time(1.5)
    must(scene.newest() == before, "ticks went on without a beat")
    stage.beat = stage.start_beat()
    up = f"{UP}{stage.beat.pid}"
    stage.await_true(lambda: up in stage.said_by(), "beat is up", 30.0)
    scene.over("beat started")
    scene.await_ticks_after(before)
    return "ticks stood still without it"


def kill_beat(scene: Scene) -> str:
    """Kill -9 of beat."""
    return _end_beat(scene, signal.SIGKILL)


def term_beat(scene: Scene) -> str:
    """SIGTERM of beat."""
    return _end_beat(scene, signal.SIGTERM)


def two_beats(scene: Scene) -> str:
    """Run a second beat for a while, after which either of the two dies."""
    stage = scene.stage
    assert stage.beat is not None
    refused = stage.said_by().get(REFUSED_FAN_OUTS, 0)
    second = stage.start_beat()
    stage.await_true(
        lambda: stage.said_by().get(REFUSED_FAN_OUTS, 0) > refused + 3, "the guard holds", 15.0
    )
    first, stay = (stage.beat, second) if scene.random.random() < 0.5 else (second, stage.beat)
    before = scene.newest()
    kill(first, signal.SIGKILL)
    scene.over("one of two beats killed")
    stage.beat = stay
    scene.await_ticks_after(before)
    return "the second's fan-outs were refused"


def _end_server(scene: Scene, sign: int, *, empty: bool, seconds: float) -> str:
    stage = scene.stage
    assert stage.server is not None
    was = stage.client.info("server")["run_id"]
    kill(stage.server, sign)
    pass_time(0.5)
    before = scene.newest()
    pass_time(seconds)
    must(scene.newest() == before, "ticks were seen without Redis")
    if empty:
        stage.forget_data()
    stage.start_server()
    scene.over("Redis started" + (" empty" if empty else ""))
    must(stage.client.info("server")["run_id"] != was, "the same server answers")
    scene.await_ticks_after(before)
    return f"away for {seconds:.0f} s"


def restart_redis(scene: Scene) -> str:
    """Redis stopped for 5 s and started with its data."""
    sign = scene.random.choice((signal.SIGTERM, signal.SIGKILL))
    return _end_server(scene, sign, empty=False, seconds=5.0)


def restart_redis_empty(scene: Scene) -> str:
    """Redis stopped and started without its data."""
    return _end_server(scene, signal.SIGTERM, empty=True, seconds=2.0)


def freeze_redis(scene: Scene) -> str:
    """Redis frozen for some seconds."""
    stage = scene.stage
    assert stage.server is not None
    seconds = scene.random.uniform(3.0, 6.0)
    stage.server.process.send_signal(signal.SIGSTOP)
    pass_time(0.3)
    before = scene.newest()
    pass_time(seconds)
    must(scene.newest() == before, "ticks were seen of a frozen Redis")
    stage.server.process.send_signal(signal.SIGCONT)
    scene.over("Redis thawed")
    scene.await_ticks_after(before)
    return f"frozen for {seconds:.1f} s"


def cut_connections(scene: Scene) -> str:
    """All connections killed, several times."""
    cut = 0
    for _ in range(scene.random.randint(1, 4)):
        before = scene.newest()
        command = ("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        cut += int(scene.stage.client.execute_command(*command))
        scene.over("connections cut")
        scene.await_ticks_after(before)
    must(cut > 0, "no connection was cut")
    return f"{cut} connections"


def out_of_memory(scene: Scene) -> str:
    """Redis refuses all that needs memory for some seconds."""
    client = scene.stage.client
    before = count_error(client, "OOM")
    client.config_set("maxmemory-policy", "noeviction")
    client.config_set("maxmemory", "1mb")
    pass_time(4.0)
    newest = scene.newest()
    refused = count_error(client, "OOM") - before
    client.config_set("maxmemory", "0")
    scene.over("memory given back")
    must(refused > 0, "nothing was refused")
    scene.await_ticks_after(newest)
    return f"{refused} commands refused"


def backlog(scene: Scene) -> str:
    """Let a ticker appear with very many waiting records; nobody waits for it."""
    scene.sampler.tickers.append(BIG)
    newest = scene.newest()
    pending = [p for p in scene.broker.waiting if p.ticker == BIG]
    must(len(pending) > 10_000, "there is no backlog")
    now_ms = time.time() * 1000.0
    for posting in pending:
        posting.due_ms = min(posting.due_ms, now_ms)
    scene.broker.waiting.sort(key=lambda posting: posting.due_ms)
    scene.over("a backlog appeared")
    scene.await_ticks_after(newest, 6.0)

    def is_behind() -> bool:
        found = [s for s in scene.sampler.samples if s.ticker == BIG]
        return any("behind_seconds" in s.quality("10s") for s in found)

    wait_until(is_behind, "it is said to be behind", 10.0)
    wait_until(
        lambda: scene.sampler.newest(BIG) >= max(scene.newest().values()) - 2000, "caught up", 40.0
    )
    return f"{len(pending)} records"


def million(scene: Scene) -> str:
    """Let a ticker appear with a million waiting records; the others go on beside it."""
    client, newest = scene.stage.client, scene.newest()
    pour_million(client, HUGE)
    scene.over("a million records appeared")
    scene.await_ticks_after(newest, 6.0)

    said: set[str] = set()

    def is_caught_up() -> bool:
        as_of, quality = client.hmget(f"orderflow:metrics:{HUGE}:5min", "as_of", "quality")
        said.update(json.loads(quality or b"{}"))
        return float(as_of or 0) > time.time() * 1000.0 - 3000.0

    wait_until(is_caught_up, "caught up", 90.0)
    must("behind_seconds" in said, "it was never said to be behind")
    must("gaps" in said, "what was never folded was no gap")
    kept = client.zcard(f"orderflow:quotes:{HUGE}")
    must(kept < MILLION, "nothing was trimmed")
    return f"{MILLION} records, {kept} kept"


def _step(scene: Scene, offset_ms: float, seconds: float) -> None:
    scene.stage.request("clock", str(offset_ms))
    pass_time(seconds)
    (scene.stage.requests / "clock").unlink()


def clock_back(scene: Scene) -> str:
    """Set the system's clock 5 s back for a while, and right again."""
    before = scene.newest()
    _step(scene, -5000.0, 4.0)
    after = scene.newest()
    scene.over("clock right again")
    must(all(after[t] - before[t] < 2500 for t in scene.tickers), "ticks did not notice")
    scene.await_ticks_after(after)
    return "ticks stood still"


def clock_ahead(scene: Scene) -> str:
    """Set the system's clock 5 s ahead for a while, and right again."""
    _step(scene, 5000.0, 4.0)
    ahead = min(scene.newest().values()) - time.time() * 1000.0
    must(ahead > 1000.0, "ticks did not notice")
    # A tick that is under way may still be one ahead: what is published decides.
    wait_until(
        lambda: time.time() * 1000.0 > max(scene.newest().values()), "the clock caught up", 20.0
    )
    scene.over("clock caught up with")
    scene.await_ticks_after(scene.newest())
    return f"ticks were {ahead / 1000:.1f} s ahead"


def silence_and_burst(scene: Scene) -> str:
    """Let the broker write nothing for a while and then everything at once."""
    scene.broker.is_silent = True
    pass_time(scene.random.uniform(3.0, 6.0))
    must(bool(scene.broker.waiting), "nothing waited")
    count = len(scene.broker.done)
    scene.broker.is_silent = False
    scene.over("the broker writes again")
    wait_until(lambda: len(scene.broker.done) > count, "the burst", 5.0)
    return f"{len(scene.broker.done) - count} records at once"


def late_records(scene: Scene) -> str:
    """Write a fifth of the records up to 1.7 s late."""
    before = scene.broker.delayed
    scene.broker.late_share = 0.2
    pass_time(5.0)
    scene.broker.late_share = 0.0
    must(scene.broker.delayed > before, "none was late")
    pass_time(2.0)
    must(any("late" in s.quality("10s") for s in scene.sampler.samples[-12:]), "none is said late")
    return f"{scene.broker.delayed - before} late"


def copies(scene: Scene) -> str:
    """Write records twice."""
    before = scene.broker.copies
    scene.broker.copied_share = 0.5
    pass_time(4.0)
    scene.broker.copied_share = 0.0
    must(scene.broker.copies > before, "none was written twice")
    return f"{scene.broker.copies - before} twice"


def shuffled(scene: Scene) -> str:
    """Write records in another order than they are stamped in."""
    before = scene.broker.inversions
    scene.broker.shuffles = True
    pass_time(5.0)
    scene.broker.shuffles = False
    must(scene.broker.inversions > before, "all were in order")
    return f"{scene.broker.inversions - before} out of order"


def state_lost(scene: Scene) -> str:
    """All states deleted."""
    before = scene.newest()
    names = [f"orderflow:state:{ticker}" for ticker in scene.tickers]
    must(scene.stage.client.delete(*names) > 0, "there was no state")
    scene.over("states deleted")
    scene.await_ticks_after(before)
    return "states deleted"


def state_garbled(scene: Scene) -> str:
    """States that can't be read, or of the wrong type."""
    before = scene.newest()
    kinds = []
    for ticker in scene.tickers:
        name = f"orderflow:state:{ticker}"
        kind = scene.random.choice(("blob", "as_of", "engine", "type"))
        kinds.append(kind)
        if kind == "type":
            scene.stage.client.set(name, "no state")
        else:
            garbled = {kind: b"\xc1garbled", "version": "garbled"}
            scene.stage.client.hset(name, mapping=garbled)
    scene.over("states garbled")
    scene.await_ticks_after(before)
    aside = list(scene.stage.client.scan_iter("orderflow:bad:state:*"))
    must(len(aside) == len(scene.tickers), f"set aside: {aside}")
    must(all(0 < scene.stage.client.ttl(name) <= 86400 for name in aside), "kept for ever")
    return " ".join(kinds)


def newer_engine(scene: Scene) -> str:
    """Run a worker with newer definitions beside older ones, which then end."""
    stage = scene.stage
    stage.worker_settings = {"ORDERFLOW_FAULTS_ENGINE": "2"}
    newer = stage.start_worker(0)
    stage.await_ready(newer)
    # An earlier fault may have moved all tickers to the other shard: then none would come to it.
    quietly(lambda: stage.client.delete(MOVED_SHARDS))

    def theirs() -> set[str]:
        names = {ticker: f"orderflow:state:{ticker}" for ticker in scene.tickers}
        return {t for t, name in names.items() if stage.client.hget(name, "engine") == b"2"}

    stage.await_true(lambda: bool(theirs()), "the newer one has a ticker", 20.0)
    taken = theirs()
    pass_time(4.0)
    must(taken <= theirs(), "an older one took a ticker back")
    before = scene.newest()
    for old in stage.workers.values():
        kill(old, signal.SIGKILL)
    scene.over("the older ones ended")
    stage.workers = {0: newer}
    scene.await_ticks_after(before)
    stage.workers[1] = stage.start_worker(1)
    stage.await_ready(stage.workers[1])
    must(len(theirs()) == len(scene.tickers), "a ticker stayed the older one's")
    return f"the newer one took {sorted(taken)} at first"


def nothing_of_ours_trusted(scene: Scene) -> str:
    """Give published keys the wrong type, twice."""
    client = scene.stage.client
    for _ in range(2):
        before = scene.newest()
        for ticker in scene.tickers:
            for key in (f"metrics:{ticker}:1min", f"patterns:{ticker}", f"levels:{ticker}:bid"):
                quietly(lambda key=key: client.set(f"orderflow:{key}", "wrong"))
        scene.over("keys of the wrong type")
        scene.await_ticks_after(before)
    aside = list(client.scan_iter("orderflow:bad:*"))
    must(bool(aside), "nothing was set aside")
    must(all(0 < client.ttl(name) <= 86400 for name in aside), "kept for ever")
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
    "wrong-types": (LATE, nothing_of_ours_trusted),
}
