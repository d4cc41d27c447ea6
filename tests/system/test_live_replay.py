"""A tape replayed live gives, tick by tick, what `orderflow analyze` writes for it."""

import json
import re
import time
from statistics import median

import pytest
import redis

from app.analysis.engine import Engine
from app.analysis.windows import WINDOWS
from app.evaluation.analyze_tape import Ticks, tick_results
from app.feeds.tape import read_tape
from app.storage.tick import codec
from tests.processes import Running, Start, wait_until
from tests.tapes import FOLDER
from tests.timing import AssertWithin

TICKER = "BTCUSDT-PERP"
QUOTES = FOLDER / f"{TICKER}_2024-08-08.quotes.csv.gz"
TRADES = FOLDER / f"{TICKER}_2024-08-08.trades.csv.gz"
# A busy tape: it has its first events after 10 s, and twelve by 23 s.
TICKS = 25
OLDEST_SECONDS = 2.0
SHIFT = re.compile(r"shift_ms=(-?\d+)")

pytestmark = [
    pytest.mark.system,
    pytest.mark.skipif(not QUOTES.exists(), reason="the tape is not here"),
]

Hashes = dict[str, dict[str, str]]


class Sampler:
    """Collects the hashes of each new tick, and how old each was when it was first seen."""

    def __init__(self, client: redis.Redis) -> None:
        self._client = client
        self.seen: dict[int, Hashes] = {}
        self.ages_ms: list[float] = []

    def look(self) -> bool:
        """Look once; tells whether enough ticks were seen."""
        pipe = self._client.pipeline(transaction=True)
        for window in WINDOWS:
            pipe.hgetall(f"orderflow:metrics:{TICKER}:{window}")
        found = pipe.execute()
        now_ms = time.time() * 1000
        if all(found):
            texts = [{k.decode(): v.decode() for k, v in fields.items()} for fields in found]
            stamps = {int(fields["as_of"]) for fields in texts}
            assert len(stamps) == 1, "one tick's three windows appear in one step"
            self.ages_ms.append(now_ms - stamps.copy().pop())
            self.seen.setdefault(stamps.pop(), dict(zip(WINDOWS, texts, strict=True)))
        return len(self.seen) >= TICKS


def shift_of(replay: Running) -> int:
    wait_until(lambda: SHIFT.search(replay.said()) is not None, "the shift is printed")
    found = SHIFT.search(replay.said())
    assert found is not None
    return int(found[1])


def expected(shift_ms: int, last: int) -> tuple[dict[int, Hashes], Engine]:
    """Say what the engine finds in the same tape without Redis, up to a tick."""
    tape = read_tape(QUOTES, TRADES, shift_ms)
    engine = Engine.new(TICKER)
    said: dict[int, Hashes] = {}
    for analysis in tick_results(engine, tape, Ticks.of(tape, 1000)):
        said[analysis.as_of] = {window: codec.window_fields(analysis, window) for window in WINDOWS}
        if analysis.as_of >= last:
            break
    return said, engine


def members(client: redis.Redis, key: str) -> list[dict[str, object]]:
    return [json.loads(member) for member in client.zrange(key, 0, -1)]


@pytest.mark.usefixtures("mode")
def test_a_live_replay_publishes_what_analyze_writes(
    redis_client: redis.Redis, start: Start, assert_within: AssertWithin
) -> None:
    worker = start("celery", "-A", "tasks", "worker", "-P", "solo", "--without-mingle")
    start("celery", "-A", "tasks", "beat")
    wait_until(lambda: " ready." in worker.said(), "the worker is ready")
    replay = start("app", "feed", "replay", str(QUOTES))
    shift_ms = shift_of(replay)
    sampler = Sampler(redis_client)

    wait_until(sampler.look, f"{TICKS} ticks")

    said, _ = expected(shift_ms, max(sampler.seen))
    assert {as_of: said[as_of] for as_of in sampler.seen} == sampler.seen
    assert_within(OLDEST_SECONDS, median(sampler.ages_ms) / 1000)
    events = members(redis_client, f"orderflow:patterns:{TICKER}")
    assert events
    assert len({event["id"] for event in events}) == len(events)
    for side in ("bid", "ask"):
        levels = members(redis_client, f"orderflow:levels:{TICKER}:{side}")
        assert len({level["price"] for level in levels}) == len(levels)
