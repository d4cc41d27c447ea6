"""One ticker for people who look back: a quarter of an hour that ended at an earlier moment.

It has the form of the live one. What is not kept of then is absent, and said: levels, ranks, and
prints beyond what Redis holds. Seconds come from Redis, older ones from the history.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from app.analysis.bars import SECOND_MS
from app.answers.event_selection import by_rarity
from app.answers.kept_past import KEPT_NOTE
from app.answers.live_ticker import (
    DRAWN_SECONDS,
    HISTORY_SECONDS,
    MAX_EVENTS_DRAWN,
    MAX_EVENTS_LISTED,
    LiveTicker,
    PrintRows,
    SecondRows,
    event_fields,
    second_columns,
    second_ends,
    summed_prints,
)
from app.answers.past_session import session_at
from app.answers.reader import Reader
from app.answers.session_facts import session_facts
from app.answers.ticker_answer import build_answer
from app.core.errors import NoAnswer
from app.storage.published import Value

_OF_SESSION: Final = {
    "vwap_sd": "the standard deviation of the session's VWAP",
    "poc": "its point of control and value area",
    "opening_range_low": "its opening range",
}
VOLUMES = ("buy_volume", "sell_volume", "unsigned_volume")


def past_ticker(reader: Reader, typed_ticker: str, end_ms: int) -> LiveTicker:
    """Return a ticker as of the whole second at or before a moment, with the 15 min up to it.

    Raises `BadTicker`; `NoAnswer`, which names what is kept; `StoreUnavailable`,
    `HistoryUnavailable` or `HistoryFileUnreadable`.
    """
    reader.past.check_kept(typed_ticker, end_ms)
    snapshot = reader.snapshot(typed_ticker, HISTORY_SECONDS, at_ms=end_ms - end_ms % SECOND_MS)
    ticker, as_of_ms = snapshot.ticker, snapshot.as_of_ms
    if as_of_ms is None:
        raise NoAnswer(f"{ticker}: warming: {snapshot.cause}; ask again in some seconds")
    from_ms = as_of_ms - DRAWN_SECONDS * SECOND_MS
    ends = second_ends(from_ms, as_of_ms)
    table = reader.table(ticker, as_of_ms, DRAWN_SECONDS)
    session = session_at(reader, ticker, as_of_ms)
    columns = second_columns(table, ends, session)
    prints = _kept_prints(reader, ticker, ends, columns)
    events = by_rarity(reader.events_at(ticker, from_ms, as_of_ms), as_of_ms)
    return LiveTicker(
        ticker=ticker,
        as_of=as_of_ms,
        answer=build_answer(snapshot).as_json(),
        rows=SecondRows(ends[0], columns),
        prints=prints,
        events=event_fields(events[:MAX_EVENTS_DRAWN]),
        order=[event.id for event in events[:MAX_EVENTS_LISTED]],
        session=_session_facts(session, as_of_ms),
        note=_note(snapshot.cause or "", session, prints),
    )


def _session_facts(session: Mapping[str, Value], at_ms: int) -> dict[str, Any] | None:
    facts = session_facts(session, at_ms)
    return None if facts is None else facts.model_dump(mode="json", exclude_none=True)


def _note(cause: str, session: Mapping[str, Value], prints: PrintRows | None) -> str:
    """Say where the numbers come from, and what of the moment is not kept."""
    source = "from the history" if KEPT_NOTE in cause else "from Redis"
    return f"{source}; not kept of then: {', '.join(_not_kept(session, prints))}"


def _not_kept(session: Mapping[str, Value], prints: PrintRows | None) -> Iterator[str]:
    yield "levels"
    yield "ranks"
    if prints is None:
        yield "prints and their volume by price"
    if "vwap" in session:
        yield from (words for name, words in _OF_SESSION.items() if name not in session)
    yield "what the feed said"


def _kept_prints(
    reader: Reader, ticker: str, ends: range, columns: Mapping[str, Sequence[Value | None]]
) -> PrintRows | None:
    """Return the prints of some seconds, None where none is kept of seconds that had some.

    Where a second had volume and no print of it is kept, those before it are gone too.
    """
    from_ms, to_ms = ends[0] - SECOND_MS, ends[-1]
    found = reader.prints(ticker, from_ms, to_ms)
    rows = summed_prints(found)
    volumes = zip(*(columns[name] for name in VOLUMES), strict=True)
    traded = {end for end, them in zip(ends, volumes, strict=True) if any(them)}
    lost = traded - {row[0] for row in rows}
    if lost and not rows:
        return None
    complete_from_ms = max([round(found.complete_from_ms), *lost])
    return PrintRows(
        from_ms=from_ms,
        complete_from=complete_from_ms,
        rows=[row for row in rows if row[0] > complete_from_ms],
    )
