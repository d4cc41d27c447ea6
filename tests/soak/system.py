"""The processes of a soak: a Redis that is killed, workers, beat and the MCP server."""

import itertools
import signal
import threading
import time
from dataclasses import dataclass, field

import redis

from benchmarks.books import Book
from tests.faults.system import System
from tests.processes import Running, free_port

WORKERS = 2
AWAY_SECONDS = 0.5
"""How long Redis is away after each kill."""


@dataclass
class SoakSystem(System):
    """The project's own processes, by the names of the table."""

    mcp_port: int = field(default_factory=free_port)
    named: dict[str, Running] = field(default_factory=dict)
    kills: int = 0

    def open(self) -> None:
        """Start everything, and wait until workers take work."""
        self.start_server()
        self.named["beat"] = self._python("celery", "--quiet", "-A", "tasks", "beat")
        for number in range(1, WORKERS + 1):
            quick = ("-P", "solo", "--without-mingle", "--without-gossip", "-n", f"w{number}@%h")
            shard = {"ORDERFLOW_SHARD": str(number - 1)}
            worker = self._python("celery", "-A", "tasks", "worker", *quick, **shard)
            self.named[f"worker {number}"] = worker
            self.await_ready(worker)
        self.named["mcp"] = self._python("mcp_app", "--http", "--port", str(self.mcp_port))

    def kill_server(self) -> None:
        """Kill Redis, and start it again with what its disk holds."""
        assert self.server is not None
        self.server.end(signal.SIGKILL)
        self.started.remove(self.server)
        time.sleep(AWAY_SECONDS)
        self.start_server()
        self.kills += 1


class Feed(threading.Thread):
    """Writes a quote a second of each ticker, and a trade of each tenth; what fails is left out."""

    def __init__(self, port: int, tickers: list[str]) -> None:
        super().__init__(daemon=True)
        self._client = redis.Redis(port=port, socket_timeout=2.0, retry=None)
        self._books = {ticker: Book(seed) for seed, ticker in enumerate(tickers)}
        self._ended = threading.Event()

    def end(self) -> None:
        """Stop writing."""
        self._ended.set()
        self.join()

    def run(self) -> None:
        """Write each second until the end."""
        for second in itertools.count():
            if self._ended.wait(1.0 - time.time() % 1.0):
                return
            try:
                self._write(second)
            except redis.RedisError:
                continue

    def _write(self, second: int) -> None:
        pipe = self._client.pipeline(transaction=False)
        for number, (ticker, book) in enumerate(self._books.items()):
            stamp = time.time() * 1000.0
            pipe.zadd(f"orderflow:quotes:{ticker}", {book.quote(stamp): stamp})
            if (second + number) % 10 == 0:
                pipe.zadd(f"orderflow:trades:{ticker}", {book.trade(stamp): stamp})
        pipe.execute()
