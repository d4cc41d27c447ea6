"""Resources that a load needs: CPU, Redis commands and bytes, memory; see docs/capacity.md."""

import math
from dataclasses import dataclass

import click

from app.core.arguments import RETENTION_SECONDS, Seconds
from app.storage.keys import BARS_LIFETIME_SECONDS

# µs of an idle core, measured on whole systems; docs/capacity.md compares the model with them.
# The cost of a quote includes a tenth of a trade.
TASK_US = 215.0
TICK_US = 635.0
QUOTE_US = 4.0
REDIS_TICK_US = 250.0
REDIS_QUOTE_US = 2.8

# Usable share of a core before ticks are late, since all ticks start at the same time.
USABLE = 0.8
COMMANDS_A_TICK = 35
TICK_BYTES = 14_800  # over the wire, both ways
QUOTE_WIRE_BYTES = 260  # in from the broker and out to a worker

QUOTE_BYTES = 225
BAR_BYTES = 250
TICKER_BYTES = 110_000
WORKER_BYTES = 95e6
WORKER_TICKER_BYTES = 205_000


@dataclass(frozen=True, slots=True)
class Load:
    """A load to size for, with one tick per ticker and second."""

    tickers: int
    rate: float
    retention_seconds: int = 3600


@dataclass(frozen=True, slots=True)
class Capacity:
    """The cores, bytes, workers and Redis servers that a load needs."""

    worker_cores: float
    redis_cores: float
    workers: int
    redis_servers: int
    commands_a_second: float
    redis_bytes_a_second: float
    redis_bytes: float
    worker_bytes: float

    @classmethod
    def of(cls, load: Load) -> "Capacity":
        """Compute the capacity for a load; all of it is linear in tickers."""
        quotes = load.tickers * load.rate
        worker = (load.tickers * (TASK_US + TICK_US) + quotes * QUOTE_US) / 1e6
        server = (load.tickers * REDIS_TICK_US + quotes * REDIS_QUOTE_US) / 1e6
        workers = max(1, math.ceil(worker / USABLE))
        kept: float = TICKER_BYTES + BARS_LIFETIME_SECONDS * BAR_BYTES
        kept += load.rate * load.retention_seconds * QUOTE_BYTES
        return cls(
            worker_cores=worker,
            redis_cores=server,
            workers=workers,
            redis_servers=max(1, math.ceil(server / USABLE)),
            commands_a_second=load.tickers * COMMANDS_A_TICK + quotes,
            redis_bytes_a_second=load.tickers * TICK_BYTES + quotes * QUOTE_WIRE_BYTES,
            redis_bytes=load.tickers * kept,
            worker_bytes=workers * WORKER_BYTES + load.tickers * WORKER_TICKER_BYTES,
        )


@click.command()
@click.option("--tickers", type=click.IntRange(min=1), required=True)
@click.option("--rate", type=click.FloatRange(min=0), default=10, help="Quotes a second each.")
@click.option("--retention", type=Seconds(*RETENTION_SECONDS), default=3600, help="Seconds kept.")
def capacity(tickers: int, rate: float, retention: int) -> None:
    """Print what a load needs; the model is in docs/capacity.md."""
    need = Capacity.of(Load(tickers, rate, retention))
    servers = "one server" if need.redis_servers == 1 else f"{need.redis_servers} of a cluster"
    rows = (
        ("workers and shards", f"{need.workers}"),
        ("CPU of workers and beat", f"{need.worker_cores:.1f} cores"),
        ("CPU of Redis", f"{need.redis_cores:.1f} cores, {servers}"),
        ("commands", f"{need.commands_a_second:,.0f} a second"),
        ("to and from Redis", f"{need.redis_bytes_a_second / 1e6:.0f} MB a second"),
        ("memory of Redis", f"{need.redis_bytes / 1e9:.1f} GB"),
        ("memory of workers", f"{need.worker_bytes / 1e9:.1f} GB"),
    )
    for name, value in rows:
        click.echo(f"{name:<24}{value}")
