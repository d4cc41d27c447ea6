"""Answer a question about one ticker, given the arguments as text."""

from typing import Literal, NamedTuple

from app.answers.answer_model import Answer
from app.answers.answer_parts import MAX_LIMIT, AnswerParts, BriefSize
from app.answers.event_selection import MIN_RETURN_MINUTES, check_return_minutes
from app.answers.history_argument import DEFAULT_HISTORY
from app.answers.reader import Reader
from app.answers.rendering import RenderedReply
from app.answers.snapshot import TickerSnapshot
from app.answers.ticker_answer import build_answer, build_brief, fit_brief_to_budget, fit_to_budget
from app.answers.ticker_text import AnswerWriter
from app.answers.token_estimate import tokens_at_most, tokens_of_lines
from app.core.arguments import check_range

Detail = Literal["full", "brief"]

MAX_TEXT_TOKENS = 900
MAX_JSON_TOKENS = 1500
MAX_BRIEF_TOKENS = 200
# Model tokens that the answer's id adds to text or JSON.
ID_TOKENS = 11

AS_FITS = 0
"""The `limit` of an answer that shows as much as its size allows."""


class RenderedAnswer(NamedTuple):
    """An answer with its renderings."""

    answer: Answer
    reply: RenderedReply


def ask(  # noqa: PLR0913 - the contract's arguments
    reader: Reader,
    ticker: str,
    history: str = DEFAULT_HISTORY,
    *,
    include_patterns: bool = True,
    detail: Detail = "full",
    as_of: str = "",
    min_return_minutes: float = MIN_RETURN_MINUTES,
    limit: int = AS_FITS,
) -> RenderedAnswer:
    """Return the order flow of `ticker` over exactly the last `history`.

    Events that come more often than every `min_return_minutes` are counted, not shown. `limit` asks
    for so many events, and levels a side, whatever they cost; without it an answer shows what fits.
    The renderings are returned too: the text was made to count its model tokens. Raises
    `BadTicker`, `BadHistory`, `BadMoment`, `BadQuestion`, `NoAnswer` or `StoreUnavailable`, each
    with a message for people.
    """
    check_return_minutes(min_return_minutes)
    check_range("limit", limit, 0, MAX_LIMIT)
    snapshot = reader.snapshot(
        ticker,
        reader.past.parse_history(history),
        include_patterns=include_patterns,
        at_ms=reader.past.parse_moment(as_of),
    )
    if detail != "brief":
        snapshot = reader.with_half_hour(snapshot)
    if limit:
        return _rendered(_answer_of_size(snapshot, min_return_minutes, detail, limit))
    return _answer_that_fits(snapshot, min_return_minutes, detail)


def _rendered(answer: Answer, writer: AnswerWriter | None = None) -> RenderedAnswer:
    return RenderedAnswer(answer, RenderedReply(answer, writer))


def _answer_of_size(
    snapshot: TickerSnapshot, min_return_minutes: float, detail: Detail, limit: int
) -> Answer:
    """Return an answer with so many events, and levels a side, whatever they cost."""
    if detail == "brief":
        size = BriefSize(open=limit)
        return build_brief(snapshot, min_return_minutes=min_return_minutes, size=size)
    return build_answer(snapshot, min_return_minutes, AnswerParts.up_to(limit))


def _answer_that_fits(
    snapshot: TickerSnapshot, min_return_minutes: float, detail: Detail
) -> RenderedAnswer:
    """Return the largest answer that is within its budget of model tokens."""
    fit, excess_of = (
        (fit_brief_to_budget, excess_brief_tokens)
        if detail == "brief"
        else (fit_to_budget, excess_tokens)
    )
    newest: list[RenderedAnswer] = []
    writer = AnswerWriter()

    def excess(answer: Answer) -> int:
        newest[:] = [_rendered(answer, writer)]
        return excess_of(newest[0].reply)

    answer = fit(snapshot, excess, min_return_minutes)
    return newest[0] if newest[0].answer is answer else _rendered(answer)


def excess_tokens(rendered: RenderedReply) -> int:
    """Return by how many tokens an answer's text, or else its JSON, is over its budget.

    Where it fits the number is 0 or less.
    """
    excess = tokens_of_lines(rendered.text) + ID_TOKENS - MAX_TEXT_TOKENS
    return excess if excess > 0 else tokens_at_most(rendered.json) + ID_TOKENS - MAX_JSON_TOKENS


def excess_brief_tokens(rendered: RenderedReply) -> int:
    """Return the same of a brief answer."""
    longer = max(tokens_of_lines(rendered.text), tokens_at_most(rendered.json))
    return longer + ID_TOKENS - MAX_BRIEF_TOKENS
