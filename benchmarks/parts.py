"""A tick's CPU time by its parts: the store's own steps, timed from outside."""

import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from app.analysis.engine import Engine
from app.analysis.record_parser import parse_batch
from app.storage import tick_store as store_module
from app.storage.tick.read import TickRead
from app.storage.tick.write import TickWrite
from app.storage.tick_connection import TickConnection
from app.storage.tick_store import TickStore

READ, DECODE, FOLD, ANALYSE = "read", "decode", "fold", "metrics and events"
ENCODE, WRITE, REST = "encode", "write", "rest"
PARTS = (READ, DECODE, FOLD, ANALYSE, ENCODE, WRITE, REST)


class Parts:
    """CPU µs by part, summed since the last `take`; a nested part is not its surrounding's."""

    def __init__(self) -> None:
        self._spent: defaultdict[str, int] = defaultdict(int)
        self._inner = 0

    def timed(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return the same function, its time counted under a part's name."""

        def call(*words: Any, **named: Any) -> Any:
            before, self._inner = self._inner, 0
            start = time.thread_time_ns()
            try:
                return function(*words, **named)
            finally:
                spent = time.thread_time_ns() - start
                self._spent[name] += spent - self._inner
                self._inner = before + spent

        return call

    def separate_parsing(self, fold: Callable[..., Any]) -> Callable[..., Any]:
        """Return a fold whose parsing is told apart: done once more before, and taken off it.

        Where the analysis is compiled, its calls among themselves can't be timed from outside. What
        was read is parsed whole, and finds colder caches than the fold does: a little too much.
        """

        def call(engine: Engine, reading: TickRead, *words: Any) -> Any:
            start = time.thread_time_ns()
            parse_batch(reading.quotes, reading.trades)
            spent = time.thread_time_ns() - start
            self._inner += spent  # no part of the tick
            self._spent[DECODE] += spent
            self._spent[FOLD] -= spent
            return fold(engine, reading, *words)

        return call

    def take(self, ticks: int) -> dict[str, float]:
        """Return the µs a tick of each part, and begin anew."""
        taken = {name: self._spent[name] / 1000 / ticks for name in PARTS}
        self._spent.clear()
        return taken


@contextmanager
def timing_parts(parts: Parts, store: TickStore) -> Iterator[None]:
    """Let the ticks of a store be timed by part meanwhile; costs them some µs."""
    places: list[tuple[Any, str, str]] = [
        (store, "run_tick", REST),
        (store, "_reading", READ),
        (store_module, "fold", FOLD),
        (store_module, "analyse", ANALYSE),
        (TickWrite, "commands", ENCODE),
        (TickConnection, "write", WRITE),
    ]
    kept = [(owner, name, getattr(owner, name)) for owner, name, _ in places]
    try:
        for owner, name, part in places:
            setattr(owner, name, parts.timed(part, getattr(owner, name)))
        store_module.fold = parts.separate_parsing(store_module.fold)
        yield
    finally:
        for owner, name, function in kept:
            setattr(owner, name, function)
