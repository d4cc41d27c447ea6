"""A tape recorded while workers ticked gives, by analyze, byte for byte what they wrote."""

import json
import signal
from dataclasses import replace
from pathlib import Path

import pytest
import redis

from app.analysis.engine import Engine
from app.analysis.patterns.events import Event
from app.analysis.windows import WINDOWS
from app.core.settings import Settings
from app.evaluation.analyze_tape import Ticks, tick_results
from app.feeds.tape import read_tape
from app.storage.session_calendars import hours_of
from app.storage.tick import codec
from tests.processes import Start, wait_until

pytestmark = pytest.mark.system

TICKER = "BTC-USD"
TICKS = 30
SECONDS_BEFORE_THE_KILL = 10

Hashes = dict[str, dict[str, str]]


class Sampler:
    """Collects the hashes of each new tick."""

    def __init__(self, client: redis.Redis) -> None:
        self._client = client
        self.seen: dict[int, Hashes] = {}

    def count(self) -> int:
        """Look once, and return how many ticks were seen."""
        pipe = self._client.pipeline(transaction=True)
        for window in WINDOWS:
            pipe.hgetall(f"orderflow:metrics:{TICKER}:{window}")
        found = pipe.execute()
        if all(found):
            texts = [{k.decode(): v.decode() for k, v in fields.items()} for fields in found]
            self.seen.setdefault(int(texts[0]["as_of"]), dict(zip(WINDOWS, texts, strict=True)))
        return len(self.seen)


def one_file(folder: Path, kind: str) -> Path:
    """Return the file of one kind; a run over midnight (UTC) has two."""
    files = sorted(folder.glob(f"{TICKER}_*.{kind}.csv.gz"))
    if len(files) > 1:
        pytest.skip("the day ended during the run: the tape has a part for each day")
    return files[0]


def analysed(folder: Path, last: int) -> tuple[dict[int, Hashes], dict[str, str]]:
    """Return the windows of each tick and the events in their last form, by the tape alone."""
    tape = read_tape(one_file(folder, "quotes"), one_file(folder, "trades"))
    assert not tape.faults
    engine = Engine.new(TICKER, hours_of(TICKER, Settings().calendars))
    windows: dict[int, Hashes] = {}
    events: dict[str, Event] = {}
    for found in tick_results(engine, tape, replace(Ticks.of(tape, 1000), last=last)):
        windows[found.as_of] = {window: codec.window_fields(found, window) for window in WINDOWS}
        events.update((event.id, event) for event in found.changed_events)
    return windows, {one: codec.event_json(event) for one, event in events.items()}


def test_a_recorded_tape_gives_byte_for_byte_what_the_ticks_published(
    redis_client: redis.Redis, start: Start, tmp_path: Path
) -> None:
    folder = tmp_path / "tapes"
    worker = start("celery", "-A", "tasks", "worker", "-P", "solo", "--without-mingle")
    beat = start("celery", "-A", "tasks", "beat")
    wait_until(lambda: " ready." in worker.said(), "the worker is ready")
    feed = start(
        *("app", "feed", "simulate", "--tickers", TICKER, "--seed", "7"),
        *("--backfill-seconds", "60"),
    )
    recorder = start("app", "feed", "record", TICKER, "--dir", str(folder))
    sampler = Sampler(redis_client)
    wait_until(lambda: sampler.count() >= SECONDS_BEFORE_THE_KILL, "the first ticks")
    wait_until(lambda: any(folder.glob("*.trades.csv.gz")), "a tape")
    recorder.end(signal.SIGKILL)
    wait_until(lambda: sampler.count() >= TICKS, "more ticks")
    recorder = start("app", "feed", "record", TICKER, "--dir", str(folder))
    wait_until(lambda: "recording" in recorder.said(), "the recorder goes on")
    beat.end()
    worker.end()
    sampler.count()
    assert recorder.end() == 0
    feed.end()

    last = max(sampler.seen)
    windows, events = analysed(folder, last)
    assert {as_of: windows[as_of] for as_of in sampler.seen} == sampler.seen
    stored = [
        member.decode() for member in redis_client.zrange(f"orderflow:patterns:{TICKER}", 0, -1)
    ]
    assert stored
    assert sorted(stored) == sorted(events[json.loads(one)["id"]] for one in stored)
