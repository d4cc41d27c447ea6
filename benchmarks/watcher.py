"""Poll for ticks: `python -m benchmarks.watcher PORT TICKERS SAMPLE SECONDS SETTLE_MS`.

For each tick, polls the tickers of the sample every 10 ms until each is readable, and all tickers a
second after the tick's start. Prints JSON: how many of all were readable, and after how many ms
each of the sample was.
"""

import json
import sys
import time
from dataclasses import asdict, dataclass, field

from benchmarks.redis_socket import RedisSocket, as_of_command

_POLL_SECONDS = 0.01


@dataclass(slots=True)
class Seen:
    """How many tickers of each tick were readable in time, and the waits of the sample."""

    ticks: int = 0
    readable: list[int] = field(default_factory=list)
    waited_ms: list[float] = field(default_factory=list)


class _Watcher:
    def __init__(self, port: int, number: int, sample: int) -> None:
        self._connection = RedisSocket(port)
        self._all = [as_of_command(f"T{i}") for i in range(number)]
        step = max(1, number // max(1, sample))
        self._sample = self._all[::step][:sample]
        self.seen = Seen()

    def _as_ofs(self, commands: list[bytes]) -> list[int]:
        return [int(reply or 0) for reply in self._connection.round_trip(commands, len(commands))]

    def tick(self, as_of_ms: int, start: float) -> None:
        """Watch one tick from its start for a second."""
        waiting = self._sample
        time.sleep(max(0.0, start - time.time()))
        while (now := time.time()) < start + 1.0 - _POLL_SECONDS:
            if waiting:
                found = self._as_ofs(waiting)
                ms = (time.time() - start) * 1000
                self.seen.waited_ms += [ms for as_of in found if as_of >= as_of_ms]
                waiting = [w for w, as_of in zip(waiting, found, strict=True) if as_of < as_of_ms]
            time.sleep(max(0.0, min(_POLL_SECONDS, start + 1.0 - _POLL_SECONDS - now)))
        time.sleep(max(0.0, start + 1.0 - time.time()))
        self.seen.waited_ms += [2000.0] * len(waiting)  # not within the second
        self.seen.readable.append(sum(a >= as_of_ms for a in self._as_ofs(self._all)))
        self.seen.ticks += 1


def _watch(port: int, number: int, sample: int, seconds: int, settle_ms: int) -> None:
    watcher = _Watcher(port, number, sample)
    as_of_ms = (int(time.time()) + 1) * 1000
    for second in range(seconds):
        here_ms = as_of_ms + second * 1000
        watcher.tick(here_ms, (here_ms + settle_ms) / 1000)
    print(json.dumps(asdict(watcher.seen)), flush=True)


if __name__ == "__main__":
    _watch(*map(int, sys.argv[1:6]))
