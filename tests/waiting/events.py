"""Events and looks made by hand."""

from typing import Any

from app.storage.published import EventRecord
from app.waiting.looks import RankFact, TickerLook

START = 1_340_285_400_000


def event(pattern: str = "iceberg", side: str = "ask", **changed: Any) -> EventRecord:
    """Return an open event noticed at `START`."""
    fields = {
        "id": "SPY~k3f9x2ab",
        "type": pattern,
        "side": side,
        "status": "open",
        "opened_at": START - 2000,
        "noticed_at": START,
        "updated_at": START,
        "evidence_class": "A",
    }
    return EventRecord(**fields | changed)


def at(
    second: int, *events: EventRecord, ranks: dict[str, float] | None = None, ticker: str = "SPY"
) -> TickerLook:
    """Return a look at the tick of so many seconds after `START`; ranks are of one minute."""
    facts = {name: RankFact(rank, 1.0) for name, rank in (ranks or {}).items()}
    return TickerLook(ticker, START + second * 1000, events, {"1min": facts})
