"""Measure how soon a wait returns after the tick that noticed what it waits for.

    python -m benchmarks.waits

One server over HTTP, waits of several clients on the same and on other tickers, four events a
second in the tickers in turn. A wait's time is from the notice of the tick to the client's answer.
"""

import asyncio
import json
import sys
import time
from typing import Any

import click
from mcp import Client

from app.core import clock
from app.storage.keys import ticked_channels
from benchmarks.answer import wait_until_up
from benchmarks.harness import Server, free_port, private_redis, process, quantile, table

_TICKERS = [f"T{number}" for number in range(20)]
_CLIENTS = (1, 20, 100)
_A_SECOND = 4


class Notices:
    """Ticks with one new event each, as a worker writes them."""

    def __init__(self, server: Server) -> None:
        self._redis = server.client
        self._number = 0
        self.sent_at: dict[str, float] = {}
        now_ms = clock.now_ms()
        self._redis.zadd("orderflow:tickers", dict.fromkeys(_TICKERS, now_ms))
        self._redis.hset("orderflow:pulse", mapping={"fanout": now_ms, "tick": now_ms})

    def notice(self, ticker: str) -> str:
        """Write an event and the tick that noticed it; return the event's id."""
        self._number += 1
        event_id = f"{ticker}~{self._number:08}"
        as_of = int(clock.now_ms() // 1000 * 1000)
        event: dict[str, Any] = dict.fromkeys(("closed_at", "close_reason", "strength"))
        event |= {"id": event_id, "type": "iceberg", "side": "ask", "status": "open"}
        event |= {"opened_at": as_of - 1000, "noticed_at": as_of, "updated_at": as_of}
        event |= {"evidence_class": "A", "statistic": 2.0, "threshold": 1.0, "evidence": {}}
        line = json.dumps(event)
        quote = {"bid_price": 10, "bid_size": 5, "ask_price": 10.01, "ask_size": 6, "seq": as_of}
        pipe = self._redis.pipeline(transaction=True)
        pipe.zadd(f"orderflow:quotes:{ticker}", {json.dumps(quote): as_of - 500})
        pipe.zadd(f"orderflow:patterns:{ticker}", {line: as_of - 1000})
        pipe.hset(f"orderflow:state:{ticker}", mapping={"as_of": as_of, "open": line})
        pipe.publish(f"{ticked_channels(0)}{ticker}", str(as_of))
        self.sent_at[event_id] = time.perf_counter()
        pipe.execute()
        return event_id


def run(*, quick: bool) -> str:
    """Measure, and return the README's section."""
    rounds = 20 if quick else 60
    with private_redis() as server:
        port = free_port()
        command = (sys.executable, "-m", "mcp_app", "--http", "--port", str(port))
        with process(*command, env=server.environment):
            rows = asyncio.run(_rows(Notices(server), port, rounds))
    head = ("clients", "answers", "p50, ms", "p99, ms", "most, ms")
    text = "From the notice of a tick to the answer at its client, over HTTP; target: p99 < 300 ms."
    return f"{text}\n\n{table(head, rows)}"


async def _rows(notices: Notices, port: int, rounds: int) -> list[tuple[str, ...]]:
    await wait_until_up(port)
    rows = []
    for clients in _CLIENTS:
        took = await _measured(notices, port, clients, rounds)
        figures = (quantile(took, 0.5), quantile(took, 0.99), max(took))
        rows.append((f"{clients}", f"{len(took)}", *(f"{it * 1000:.0f}" for it in figures)))
    return rows


async def _measured(notices: Notices, port: int, clients: int, rounds: int) -> list[float]:
    took: list[float] = []
    over, began = asyncio.Event(), asyncio.Semaphore(0)
    waiters = [
        asyncio.create_task(
            _wait_on(port, _TICKERS[number % len(_TICKERS)], notices, took, began, over)
        )
        for number in range(clients)
    ]
    for _ in range(clients):
        await began.acquire()
    for number in range(rounds * _A_SECOND):
        await asyncio.to_thread(notices.notice, _TICKERS[number % min(clients, len(_TICKERS))])
        await asyncio.sleep(1 / _A_SECOND)
    over.set()
    await asyncio.gather(*waiters)
    return took


async def _wait_on(  # noqa: PLR0913, PLR0917 - one client and what all share
    port: int,
    ticker: str,
    notices: Notices,
    took: list[float],
    began: asyncio.Semaphore,
    over: asyncio.Event,
) -> None:
    """Wait again and again, each time behind the answer before."""
    # Sessions: without them, all clients of an address would count as one.
    async with Client(f"http://127.0.0.1:{port}/mcp", mode="legacy") as client:
        asked: dict[str, Any] = {"tickers": [ticker], "condition": "iceberg", "timeout": 0}
        while not over.is_set():
            result = await client.call_tool("wait_for", asked)
            now, said = time.perf_counter(), result.structured_content
            if result.is_error or said is None:
                raise click.ClickException(str(result.content))
            took += [now - notices.sent_at[event["id"]] for event in said.get("events", ())]
            if "since" not in asked:
                began.release()
            asked |= {"since": said["answer_id"], "timeout": 3}


@click.command()
def main() -> None:
    """Print how soon waits return."""
    click.echo(run(quick=True))


if __name__ == "__main__":
    main()
