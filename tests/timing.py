"""Times that are promised, held against how busy the machine was in the same moments."""

import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple, Protocol

# Works for some 30 ms a few times a second, and writes when that began, and how long it took on
# the clock and on a processor.
SAMPLING = """
import time
while True:
    began, processor_began = time.monotonic(), time.process_time()
    sum(range(1_500_000))
    processor = time.process_time() - processor_began
    print(began, time.monotonic() - began, processor, flush=True)
    time.sleep(0.2)
"""


class AssertWithin(Protocol):
    """Fail where something took longer than promised, and the busy machine is not the cause."""

    def __call__(self, promised_seconds: float, took_seconds: float) -> None:
        """Check a time in seconds."""
        ...


class Sample(NamedTuple):
    """A piece of work: its begin, and its time on the clock and on a processor, in seconds."""

    began: float
    clock: float
    processor: float


@contextmanager
def watched_machine(log: Path) -> Iterator[AssertWithin]:
    """Measure how busy the machine is as long as the context lasts."""

    def assert_within(promised_seconds: float, took_seconds: float) -> None:
        if took_seconds < promised_seconds:
            return
        slower = slowdown(read_samples(log), promised_seconds)
        assert took_seconds < promised_seconds * slower, (
            f"took {took_seconds:.1f} s, promised are {promised_seconds} s on an idle machine; "
            f"this one was {slower:.1f} times slower at most"
        )

    with log.open("wb") as output:
        sampling = subprocess.Popen([sys.executable, "-I", "-c", SAMPLING], stdout=output)
    try:
        yield assert_within
    finally:
        sampling.kill()
        sampling.wait()


def read_samples(log: Path) -> list[Sample]:
    """Return what was measured so far; the last line may not be whole yet."""
    lines = log.read_text().split("\n")[:-1]
    return [Sample(*map(float, line.split())) for line in lines]


def slowdown(samples: Sequence[Sample], seconds: float) -> float:
    """Return how many times longer than on an idle machine work took, in the worst such seconds.

    Of work that is short, one sample says little: a wait of a second would make it many times
    slower. So samples count together that began within the seconds that are promised.
    """
    if not samples:
        return 1.0
    last = max(samples[0].began, samples[-1].began - seconds)
    begun = [one.began for one in samples if one.began <= last]
    return max(1.0, *(_clock_over_processor(samples, at, seconds) for at in begun))


def _clock_over_processor(samples: Sequence[Sample], began: float, seconds: float) -> float:
    together = [one for one in samples if began <= one.began <= began + seconds]
    return sum(one.clock for one in together) / sum(one.processor for one in together)
