"""Find what changed of a ticker between two looks, as far as somebody would want to be told."""

from collections import OrderedDict
from collections.abc import Iterable
from typing import NamedTuple

from app.answers.schema import Number, significant
from app.waiting.looks import TickerLook
from app.waiting.seen_ticks import MAX_TICKERS, SeenTicks

_DIGITS = 3


class _Form(NamedTuple):
    status: str
    statistic: Number | None


class _Known(NamedTuple):
    """A ticker's events at its newest look, and which tick that was of."""

    as_of_ms: int
    events: dict[str, _Form]


class Change(NamedTuple):
    """What changed: events by id and status, or also by statistic, or all, of a new ticker."""

    is_new: bool = False
    has_opened_or_closed: bool = False
    has_changed: bool = False


class ChangeFinder:
    """Remember what was last seen of each ticker."""

    def __init__(self) -> None:
        self._known: OrderedDict[str, _Known] = OrderedDict()
        self._seen = SeenTicks()

    def forget(self) -> None:
        """Forget all tickers."""
        self._known.clear()
        self._seen = SeenTicks()

    def knows(self, tickers: Iterable[str]) -> bool:
        """Return whether all these tickers were looked at."""
        return all(ticker in self._known for ticker in tickers)

    def oldest_ms(self, ticker: str, now_ms: float) -> float:
        """Return the opening from which on events have to be read for the next look."""
        return self._seen.oldest_ms(ticker, now_ms)

    def change(self, look: TickerLook, now_ms: float) -> Change:
        """Return what changed since the last look; a ticker's first look changes no event."""
        if look.as_of_ms is None:
            # A ticker without a tick has no event: its first one is a change.
            self._known.setdefault(look.ticker, _Known(0, {}))
            return Change()
        self._seen.note(look, now_ms)
        known = self._known.pop(look.ticker, None)
        seen = {
            event.id: _Form(event.status, significant(event.statistic, _DIGITS))
            for event in look.events
        }
        self._known[look.ticker] = _Known(look.as_of_ms, seen)
        if len(self._known) > MAX_TICKERS:
            self._known.popitem(last=False)
        if known is None:
            return Change(is_new=True)
        before = known.events
        # Older ones were not in the last look, if it read less far back.
        renewed = {event.id for event in look.events if event.updated_at > known.as_of_ms}
        gone = any(form.status == "open" and name not in seen for name, form in before.items())
        others = [
            (before.get(name), seen[name]) for name in renewed if before.get(name) != seen[name]
        ]
        moved = any(was is None or was.status != now.status for was, now in others)
        return Change(False, gone or moved, gone or bool(others))
