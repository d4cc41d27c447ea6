"""Measure a tick's CPU time by parts, by timing functions of the store from outside."""

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
    """CPU time of each part since the last `take`; without the parts called inside it."""

    def __init__(self) -> None:
        self._spent: defaultdict[str, int] = defaultdict(int)
        self._inner = 0

    def timed(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return the same function, with its time counted for the part `name`."""

        def call(*arguments: Any, **named: Any) -> Any:
            before, self._inner = self._inner, 0
            start = time.thread_time_ns()
            try:
                return function(*arguments, **named)
            finally:
                spent = time.thread_time_ns() - start
                self._spent[name] += spent - self._inner
                self._inner = before + spent

        return call

    def separate_parsing(self, fold: Callable[..., Any]) -> Callable[..., Any]:
        """Return a fold whose parsing is timed apart: parses once more, and deducts that time.

        Calls between compiled modules can't be timed from outside. The extra parsing covers all
        records read and meets colder caches, so that its time is slightly too high.
        """

        def call(engine: Engine, reading: TickRead, *arguments: Any) -> Any:
            start = time.thread_time_ns()
            parse_batch(reading.quotes, reading.trades)
            spent = time.thread_time_ns() - start
            self._inner += spent  # not part of the tick
            self._spent[DECODE] += spent
            self._spent[FOLD] -= spent
            return fold(engine, reading, *arguments)

        return call

    def take(self, ticks: int) -> dict[str, float]:
        """Return each part's CPU µs per tick, and reset the sums."""
        taken = {name: self._spent[name] / 1000 / ticks for name in PARTS}
        self._spent.clear()
        return taken


@contextmanager
def timing_parts(parts: Parts, store: TickStore) -> Iterator[None]:
    """Time the ticks of a store by part as long as the context lasts; costs each some µs."""
    functions: list[tuple[Any, str, str]] = [
        (store, "run_tick", REST),
        (store.reads, "read_new", READ),
        (store_module, "fold", FOLD),
        (store_module, "analyse", ANALYSE),
        (TickWrite, "commands", ENCODE),
        (TickConnection, "write", WRITE),
    ]
    originals = [(owner, name, getattr(owner, name)) for owner, name, _ in functions]
    try:
        for owner, name, part in functions:
            setattr(owner, name, parts.timed(part, getattr(owner, name)))
        store_module.fold = parts.separate_parsing(store_module.fold)
        yield
    finally:
        for owner, name, function in originals:
            setattr(owner, name, function)
