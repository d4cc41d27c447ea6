"""The answer of a wait: what met the condition, or that nothing did."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Annotated

from pydantic import Field

from app.answers.durations import age, ago
from app.answers.event_facts import EventFacts, event_facts
from app.answers.schema import (
    AnswerModel,
    EpochMs,
    Known,
    Number,
    Reply,
    plain,
    rounded,
    significant,
)
from app.answers.ticker_text import event_line, id_line
from app.waiting.condition import Condition
from app.waiting.watch import Matches, NumberMatch, TickerCursor


class WaitedEvent(EventFacts):
    """An event that newly meets the condition."""

    ticker: str


class WaitedNumber(AnswerModel):
    """A number whose rank newly meets the condition."""

    ticker: str
    metric: str
    window: str
    rank: Annotated[Number, Field(description="0..1 in the ticker's own past")]
    value: Known = None
    as_of: Annotated[int, Field(description="epoch ms")]


class WaitedTicker(AnswerModel):
    """A ticker that was watched, up to its newest tick; that is absent before the first."""

    ticker: str
    as_of: EpochMs = None


class WaitAnswer(Reply):
    """What was waited for; pass answer_id as `since` to go on behind it."""

    now: Annotated[int, Field(description="epoch ms")]
    tickers: list[WaitedTicker]
    condition: str
    waited_seconds: Number
    nothing: Annotated[bool, Field(description="nothing met the condition in that time")] = False
    events: list[WaitedEvent] = []
    numbers: list[WaitedNumber] = []
    note: str | None = None

    def as_text(self) -> str:
        """Return a line for each event and number."""
        waited = age(float(self.waited_seconds))
        head = f"{', '.join(self._tickers())}: waited {waited} for {self.condition}"
        return "\n".join(
            [
                head,
                *([f"note: {self.note}"] if self.note else []),
                *(["nothing"] if self.nothing else []),
                *(f"- {event_text(event, self.now)}" for event in self.events),
                *(f"- {number_text(number)}" for number in self.numbers),
                *id_line(self.answer_id),
            ]
        )

    def _tickers(self) -> Iterator[str]:
        for one in self.tickers:
            tick = "no tick yet" if one.as_of is None else f"as of {ago(one.as_of, self.now)}"
            yield f"{one.ticker} {tick}"


def event_text(event: WaitedEvent, now_ms: int) -> str:
    """Return an event that was waited for as one line."""
    return f"{event.ticker} {event_line(event, now_ms)}"


def number_text(number: WaitedNumber) -> str:
    """Return a number that was waited for as one line.

    >>> found = WaitedNumber(ticker="SPY", metric="ofi", window="1min", rank=0.97, value=9, as_of=0)
    >>> number_text(found)
    'SPY ofi 9, rank 0.97 in 1min'
    """
    value = "" if number.value is None else f" {plain(number.value)}"
    return f"{number.ticker} {number.metric}{value}, rank {number.rank} in {number.window}"


def waited_facts(
    matches: Iterable[Matches],
) -> tuple[list[WaitedEvent], list[WaitedNumber]]:
    """Return what met a condition in the published form, events as they were noticed."""
    events: list[WaitedEvent] = []
    numbers: list[WaitedNumber] = []
    for of_ticker in matches:
        events += [
            WaitedEvent(**event_facts(event).model_dump(), ticker=of_ticker.ticker)
            for event in of_ticker.events
        ]
        numbers += [_number_facts(of_ticker.ticker, one) for one in of_ticker.numbers]
    return sorted(events, key=lambda event: event.noticed_at), numbers


def _number_facts(ticker: str, match: NumberMatch) -> WaitedNumber:
    metric = match.condition.metric
    value = None if match.value is None else rounded(metric, match.value)
    return WaitedNumber(
        ticker=ticker,
        metric=metric,
        window=match.condition.window,
        rank=significant(match.rank, 3) or 0,
        value=None if isinstance(value, str) else value,
        as_of=match.as_of_ms,
    )


def build_wait_answer(  # noqa: PLR0913 - what a wait found
    condition: Condition,
    tickers: Iterable[str],
    cursors: Mapping[str, TickerCursor],
    matches: Iterable[Matches],
    *,
    now_ms: float,
    waited_seconds: float,
) -> WaitAnswer:
    """Return the answer of a wait that found something, or whose time is over."""
    events, numbers = waited_facts(matches)
    return WaitAnswer(
        now=round(now_ms),
        tickers=[WaitedTicker(ticker=name, as_of=_as_of(cursors.get(name))) for name in tickers],
        condition=str(condition),
        waited_seconds=round(waited_seconds, 1),
        nothing=not events and not numbers,
        events=events,
        numbers=numbers,
    )


def _as_of(cursor: TickerCursor | None) -> int | None:
    return None if cursor is None else cursor.until_ms
