"""What ticks published, and what a tape says that they had to publish."""

from dataclasses import replace
from pathlib import Path

import redis

from app.analysis.engine import Engine
from app.analysis.patterns.events import Event
from app.analysis.windows import WINDOWS
from app.core.settings import Settings
from app.core.tickers import file_name_of
from app.evaluation.analyze_tape import Ticks, tick_results
from app.feeds.tape_clock import read_usable_tape
from app.storage.session_calendars import hours_of
from app.storage.tick import codec

Hashes = dict[str, dict[str, str]]
"""The fields of each window."""


class TickSampler:
    """Collects the windows of each new tick of a ticker."""

    def __init__(self, client: redis.Redis, ticker: str) -> None:
        self._client, self._ticker = client, ticker
        self.seen: dict[int, Hashes] = {}

    @property
    def late_ticks(self) -> list[int]:
        """Return the ticks whose windows say that records, or gaps, came after their tick."""
        return [
            as_of for as_of, windows in self.seen.items() if '"late' in windows["5min"]["quality"]
        ]

    def count(self) -> int:
        """Look once, and return how many ticks were seen."""
        pipe = self._client.pipeline(transaction=True)
        for window in WINDOWS:
            pipe.hgetall(f"orderflow:metrics:{self._ticker}:{window}")
        found = pipe.execute()
        if all(found):
            texts = [{k.decode(): v.decode() for k, v in fields.items()} for fields in found]
            self.seen.setdefault(int(texts[0]["as_of"]), dict(zip(WINDOWS, texts, strict=True)))
        return len(self.seen)


def differences(seen: dict[int, Hashes], expected: dict[int, Hashes]) -> list[str]:
    """Name the fields that ticks published otherwise than expected."""
    return [
        f"{as_of} {window} {name}: {fields.get(name)}, by the tape {wanted.get(name)}"
        for as_of, windows in seen.items()
        for window, fields in windows.items()
        for wanted in (expected[as_of][window],)
        for name in sorted(fields.keys() | wanted.keys())
        if fields.get(name) != wanted.get(name)
    ]


def tape_file(folder: Path, ticker: str, kind: str) -> Path:
    """Return a ticker's file of one kind; a run over midnight (UTC) has two.

    Raises `ValueError` where there is not one.
    """
    [file] = folder.glob(f"{file_name_of(ticker)}_*.{kind}.csv.gz")
    return file


def analysed(folder: Path, ticker: str, last: int) -> tuple[dict[int, Hashes], dict[str, str]]:
    """Return the windows of each tick up to the last and the events as of it, by the tape alone."""
    files = (tape_file(folder, ticker, kind) for kind in ("quotes", "trades"))
    tape = read_usable_tape(*files)  # with the gaps beside it
    assert not tape.faults
    engine = Engine.new(ticker, hours_of(ticker, Settings().calendars))
    windows: dict[int, Hashes] = {}
    events: dict[str, Event] = {}
    for found in tick_results(engine, tape, replace(Ticks.of(tape, 1000), last=last)):
        windows[found.as_of] = {window: codec.window_fields(found, window) for window in WINDOWS}
        events.update((event.id, event) for event in found.changed_events)
    return windows, {one: codec.event_json(event) for one, event in events.items()}
