"""Make the sample answers of the documents: simulated tickers at a fixed time, asked as tools are.

The samples stand in the documents behind a mark, `<!-- sample NAME -->`.
"""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

import redis

from app.analysis.records import Record
from app.answers.ask import ask
from app.answers.chart import ChartFacts
from app.answers.compare import compare, comparison_row
from app.answers.explain import explain
from app.answers.list_tickers import list_tickers
from app.answers.reader import Reader
from app.answers.rendering import render_text
from app.answers.scan import scan
from app.answers.schema import Reply
from app.answers.series import series
from app.answers.ticker_text import id_line
from app.core import clock
from app.core.settings import Settings
from app.feeds.simulation import profile_of, simulate
from app.storage.keys import Keys
from app.storage.tick_store import TickStore
from tests.broker import publish

START_MS: Final = 1_780_322_400_000
"""2026-06-01 14:00 UTC, half an hour after the open in New York."""
SEED: Final = 0
"""That of `make run`."""
STEP_SECONDS: Final = 15
"""From tick to tick: however the records are cut, the numbers are the same."""
ASKED_AFTER_MS: Final = 300.0
FEED: Final = {"source": "simulated", "scope": "simulated", "stamps": "venue", "delay_ms": 0}
SHOWN_ID: Final = "g77oeq7h"
"""Ids of answers are drawn: this one stands for any."""

YOUNG_SECONDS: Final = 345
"""The past that the feed of `make run` writes, and a quarter of a minute."""
OLD_SECONDS: Final = 5400

_FENCED: Final = re.compile(
    r"(?P<head>^<!-- sample (?P<name>[\w-]+) -->\n+```text\n)(?P<body>.*?)\n^```$",
    re.DOTALL | re.MULTILINE,
)


@contextmanager
def simulated(client: redis.Redis, settings: Settings, ticker: str, seconds: int) -> Iterator[None]:
    """Let a ticker alone trade until some seconds after the start, at which the clock stands."""
    client.flushall()
    store, batch = TickStore(settings), list[Record]()
    made = simulate(ticker, SEED, START_MS, seconds, profile_of(ticker))
    try:
        for second, (records, _) in enumerate(made, 1):
            batch += records
            if second % STEP_SECONDS == 0:
                publish(client, ticker, batch)
                batch.clear()
                as_of = START_MS + 1000 * second
                clock.stand_still(as_of + ASKED_AFTER_MS)
                store.run_tick(ticker, as_of)
        _say_alive(client, ticker, START_MS + 1000 * seconds)
        yield
    finally:
        clock.stand_still(None)


def _say_alive(client: Any, ticker: str, as_of: int) -> None:
    client.hset("orderflow:pulse", mapping={"fanout": as_of, "tick": as_of})
    client.zadd("orderflow:tickers", {ticker: as_of})
    client.hset(Keys().feed(ticker), mapping={**FEED, "alive_at": as_of - 900})


def of_a_young_ticker(reader: Reader) -> dict[str, str]:
    """Return what is said of SPY a quarter of a minute after the start of `make run`."""
    brief = ask(reader, "SPY", "1min", detail="brief").reply
    return {
        "spy-5min": ask(reader, "SPY").reply.text,
        "spy-1min": ask(reader, "SPY", "1min").reply.text,
        "spy-brief": "\n".join((brief.text, *id_line(SHOWN_ID))),
    }


def of_an_old_ticker(reader: Reader) -> dict[str, str]:
    """Return what every tool says of AAPL an hour and a half after its start."""
    found = ask(reader, "AAPL")
    [first, *_] = found.answer.events or ()
    snapshot = reader.snapshot("AAPL", 300)
    row = comparison_row(snapshot).model_dump()
    replies: dict[str, Reply] = {
        "list-tickers": list_tickers(reader),
        "scan-order-flow": scan(reader, min_return_minutes=1),
        "compare-order-flow": compare(reader, ["AAPL"]),
        "explain-pattern": explain(reader, first.id),
        "order-flow-series": series(reader, "AAPL", ["mid", "ofi"], "1min", 6),
        "order-flow-chart": ChartFacts(**row, history_seconds=300),
    }
    texts = {name: render_text(reply) for name, reply in replies.items()}
    return {
        "aapl-5min": found.reply.text,
        **{name: "\n".join((text, *id_line(SHOWN_ID))) for name, text in texts.items()},
    }


MADE: Final[dict[tuple[str, int], Callable[[Reader], dict[str, str]]]] = {
    ("SPY", YOUNG_SECONDS): of_a_young_ticker,
    ("AAPL", OLD_SECONDS): of_an_old_ticker,
}


def samples_in(text: str) -> dict[str, str]:
    """Return the samples of a document by their names."""
    found = re.finditer(_FENCED, text)
    return {match["name"]: match["body"] for match in found}


def with_samples(text: str, samples: dict[str, str]) -> str:
    """Return a document with its samples written anew."""

    def renewed(match: re.Match[str]) -> str:
        return f"{match['head']}{samples[match['name']]}\n```"

    return re.sub(_FENCED, renewed, text)
