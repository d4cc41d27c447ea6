"""Notice when ticks of a ticker stop, and when they come again; each is told once."""

from collections.abc import Iterable
from typing import NamedTuple

from app.waiting.looks import TickerLook


class TickChange(NamedTuple):
    """A ticker whose ticks stopped or came again, after so many seconds without one."""

    ticker: str
    has_stopped: bool
    seconds: float


class Silences:
    """Since when no new tick of some tickers was seen, by a clock that is never set.

    What counts is that a tick is another one than before, not how old it is: those of a delayed
    feed are old, and come all the same.
    """

    def __init__(self, tickers: Iterable[str], silent_seconds: float, now_seconds: float) -> None:
        self._silent_seconds = silent_seconds
        self._as_of_ms: dict[str, int | None] = dict.fromkeys(tickers)
        self._seen_at = dict.fromkeys(self._as_of_ms, now_seconds)
        self._told: set[str] = set()

    def begin_again(self, now_seconds: float) -> None:
        """Count no time before this moment: Redis could not be asked, or it begins here."""
        for ticker in self._seen_at.keys() - self._told:
            self._seen_at[ticker] = now_seconds

    def overdue(self, now_seconds: float) -> set[str]:
        """Return the tickers that have to be looked at: their ticks may have stopped."""
        untold = self._seen_at.keys() - self._told
        return {name for name in untold if self._is_overdue(name, now_seconds)}

    def note(self, looks: Iterable[TickerLook], now_seconds: float) -> list[TickChange]:
        """Note the ticks of looks; return the tickers whose ticks stopped or came again."""
        changes = []
        for look in looks:
            name, seconds = look.ticker, now_seconds - self._seen_at[look.ticker]
            if look.as_of_ms is not None and look.as_of_ms != self._as_of_ms[name]:
                self._as_of_ms[name], self._seen_at[name] = look.as_of_ms, now_seconds
                if name in self._told:
                    self._told.remove(name)
                    changes.append(TickChange(name, has_stopped=False, seconds=seconds))
            elif name not in self._told and self._is_overdue(name, now_seconds):
                self._told.add(name)
                changes.append(TickChange(name, has_stopped=True, seconds=seconds))
        return changes

    def _is_overdue(self, ticker: str, now_seconds: float) -> bool:
        return now_seconds - self._seen_at[ticker] >= self._silent_seconds
