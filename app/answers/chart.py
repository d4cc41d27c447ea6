"""Draw a ticker's history as a PNG, and return the facts that go with it."""

import importlib
import threading
from typing import NamedTuple

from app.answers.compare import ComparisonRow, comparison_row
from app.answers.history_argument import DEFAULT_HISTORY, parse_history
from app.answers.reader import Reader
from app.answers.schema import Reply
from app.answers.ticker_text import id_line
from app.core.errors import NoAnswer
from app.core.tickers import parse_ticker

# Leaves the rest of the deadline for reading and drawing.
LOAD_TIMEOUT_SECONDS = 1.1
_loaded = threading.Event()


class ChartFacts(ComparisonRow, Reply):
    """What goes with a picture: how old and how whole its data is, and the measures at its end."""

    history_seconds: int

    def as_text(self) -> str:
        """Return the same facts as a line of text."""
        # There is no picture before the first tick.
        now_ms = (self.as_of or 0) + 1000 * (self.age_seconds or 0)
        head = f"{self.ticker}: last {self.history_seconds} s; {'; '.join(self.text_parts(now_ms))}"
        return "\n".join([head, *id_line(self.answer_id)])


class Chart(NamedTuple):
    """A PNG and the facts that go with it."""

    png: bytes
    facts: ChartFacts


def preload_matplotlib() -> None:
    """Import matplotlib and its fonts, so that the first chart meets the deadline."""
    if not _loaded.is_set():
        importlib.import_module("app.answers.chart_drawing").warm_up()
        _loaded.set()


def chart(reader: Reader, ticker: str, history: str = DEFAULT_HISTORY) -> Chart:
    """Draw the last `history` of `ticker`, once `preload_matplotlib` is done.

    Raises `BadTicker`, `BadHistory`, `NoAnswer` or `StoreUnavailable`.
    """
    name = parse_ticker(ticker)
    snapshot = reader.snapshot(name, parse_history(history))
    if snapshot.as_of_ms is None:
        raise NoAnswer(f"{name}: warming: {snapshot.cause}; ask again in some seconds")
    if not _loaded.wait(LOAD_TIMEOUT_SECONDS):
        known = f"; {snapshot.cause}" if snapshot.cause else ""
        raise NoAnswer(f"{name}: what draws is still loading, ask again in a second{known}")
    # Loading it takes half a second, which nobody who asks for no picture need pay.
    from app.answers.chart_drawing import png_of  # noqa: PLC0415

    table = reader.table(name, snapshot.as_of_ms, snapshot.history_seconds).bars
    facts = comparison_row(snapshot).model_dump()
    return Chart(
        png_of(snapshot, table), ChartFacts(**facts, history_seconds=snapshot.history_seconds)
    )
