"""A picture of a ticker's history, and the facts that go with it."""

import importlib
from typing import NamedTuple

from app.answer_text import id_line
from app.comparing import Compared, row_of
from app.errors import NoAnswer
from app.facts import Reply
from app.histories import parse_history
from app.reader import Reader
from app.tickers import checked_ticker


class ChartFacts(Compared, Reply):
    """What goes with a picture: how old and how whole its data is, and the measures at its end."""

    history_seconds: int

    def as_text(self) -> str:
        """Return the same facts in a line."""
        head = f"{self.ticker}: last {self.history_seconds} s; {'; '.join(self.parts())}"
        return "\n".join([head, *id_line(self.answer_id)])


class Chart(NamedTuple):
    """A PNG and its facts."""

    png: bytes
    facts: ChartFacts


def load_pencils() -> None:
    """Load what draws, so that the first chart comes in time."""
    importlib.import_module("app.charting").load()


def chart(reader: Reader, ticker: str, history: str = "5mins") -> Chart:
    """Draw the last `history` of `ticker`.

    Raises `BadTicker`, `BadHistory`, `NoAnswer` or `StoreUnavailable`.
    """
    # Loading it takes half a second, which nobody who asks for no picture need pay.
    from app.charting import png_of  # noqa: PLC0415

    snapshot = reader.snapshot(checked_ticker(ticker), parse_history(history))
    if snapshot.as_of_ms is None:
        raise NoAnswer(f"{ticker}: warming: {snapshot.cause}; ask again in some seconds")
    table = reader.table(ticker, snapshot.as_of_ms, snapshot.history_seconds)
    facts = row_of(snapshot).model_dump()
    return Chart(
        png_of(snapshot, table), ChartFacts(**facts, history_seconds=snapshot.history_seconds)
    )
