"""Rebuild a ticker's engine from what is stored of it: the state, the journal and the bars."""

from collections.abc import Mapping, Sequence
from typing import Any

import structlog

from app.analysis.bars import SECOND_MS, Bar, whole_second
from app.analysis.engine import Engine
from app.analysis.rolling_bars import RollingBars
from app.analysis.state import State
from app.analysis.trading_hours import TradingHours
from app.analysis.windows import WINDOW_SECONDS
from app.core.settings import Settings
from app.storage import keys
from app.storage.keys import Keys
from app.storage.record_reads import read_all
from app.storage.session_calendars import hours_of
from app.storage.tick import codec
from app.storage.tick.write import (
    CANDIDATES_PREFIX,
    LEVELS_PREFIX,
    OUTCOMES_FIELD,
    PAST_EVENTS_PREFIX,
)

_log = structlog.stdlib.get_logger("orderflow.store")


class EngineRestorer:
    """Rebuilds engines from what Redis holds."""

    def __init__(self, client: Any, names: Keys, settings: Settings) -> None:  # noqa: ANN401 - any client
        self._redis = client
        self._keys = names
        self._calendars = settings.calendars
        self._max_records = settings.max_records

    def restore(self, ticker: str, fields: Mapping[str, bytes]) -> Engine:
        """Rebuild an engine from the stored state, journal and bars.

        If records of the journal are gone, the engine continues after a gap from the last tick that
        could be folded again to the last one of the journal. Raises `StateUnreadable`.
        """
        packed = codec.PackedState(
            fields.get("blob", b""),
            _fields_with_prefix(fields, CANDIDATES_PREFIX),
            _fields_with_prefix(fields, LEVELS_PREFIX),
            ranks=fields.get(keys.RANK_PAST, b""),
            past_events=_fields_with_prefix(fields, PAST_EVENTS_PREFIX),
            outcomes=fields.get(OUTCOMES_FIELD, b""),
        )
        state = codec.decode_state(packed)
        as_of = self._replay(state, fields)
        state.recent = codec.decode_bars(fields.get("recent", b""))
        table = self._table_of(state, state.recent, as_of)
        engine = Engine(state, table, self.hours_of(ticker))
        if state.as_of < as_of:
            _log.warning("records of a journal are gone", ticker=ticker, since=state.as_of)
            engine.skip_gap(float(as_of))
            state.as_of = as_of
        return engine

    def _table_of(self, state: State, recent: Sequence[Bar], as_of: int) -> RollingBars:
        """Return a table of the seconds up to `as_of`: those stored as bars, and the `recent`."""
        end = recent[0].end if recent else as_of
        oldest = end - (max(WINDOW_SECONDS) + 1) * SECOND_MS
        key = self._keys.bars(state.ticker)
        # After a silence the newest bar before it, however old, holds the standing quote.
        stored = self._redis.xrevrange(key, oldest - 1, "-", count=1)
        stored += self._redis.xrange(key, oldest, end - 1 if recent else end)
        bars = [codec.decode_bar(entry.get(b"b", b"")) for _, entry in stored]
        table = RollingBars.from_bars(
            [*bars, *recent], max(WINDOW_SECONDS), spans=WINDOW_SECONDS, gaps=state.gaps
        )
        table.first_quote = state.first_quote
        if recent or bars:
            # Only silent seconds are missing: lost ones are stored as bars.
            table.fill_to(as_of)
        table.lost_to = whole_second(state.gap_end) - SECOND_MS
        return table

    def _replay(self, state: State, fields: Mapping[str, bytes]) -> int:
        """Advance a state from when it was stored whole to the last tick, by its journal.

        Returns the time of that tick; the state stays behind it if records are gone.
        """
        journal = codec.decode_journal(fields.get("journal", b""))
        if journal is None or not journal.entries:
            return state.as_of
        margins = state.as_of - 1, journal.entries[-1].as_of + 1
        quotes, trades = (
            read_all(self._run, key, margins, self._max_records)
            for key in (self._keys.quotes(state.ticker), self._keys.trades(state.ticker))
        )
        # The ranks of the seconds to be folded again depend on those before them. Some of these are
        # not final and stored with the newest; late ones among them were there at `state.as_of`.
        recent = codec.decode_bars(fields.get("recent", b""))
        table = self._table_of(
            state, [bar for bar in recent if bar.end <= state.as_of], state.as_of
        )
        engine = Engine(state, table, self.hours_of(state.ticker))
        if not journal.replay(engine, quotes, trades):
            return journal.entries[-1].as_of
        return state.as_of

    def _run(self, command: tuple[Any, ...]) -> Any:  # noqa: ANN401 - any reply
        return self._redis.execute_command(*command)

    def hours_of(self, ticker: str) -> TradingHours:
        """Return when the ticker's market is open."""
        return hours_of(ticker, self._calendars)


def _fields_with_prefix(fields: Mapping[str, bytes], prefix: str) -> dict[str, bytes]:
    """Return the fields whose names start with a prefix, by the rest of their names."""
    return {name[len(prefix) :]: value for name, value in fields.items() if name.startswith(prefix)}
