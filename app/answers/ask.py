"""Answer a question about one ticker, given the arguments as text."""

from typing import Literal, NamedTuple

from app.answers.as_of_argument import parse_moment
from app.answers.history_argument import DEFAULT_HISTORY, parse_history
from app.answers.reader import Reader
from app.answers.rendering import RenderedReply, render
from app.answers.ticker_answer import Answer, fit_brief_to_budget, fit_to_budget
from app.answers.token_estimate import tokens_at_most
from app.core import clock

Detail = Literal["full", "brief"]

MAX_TEXT_TOKENS = 800
MAX_JSON_TOKENS = 1300
MAX_BRIEF_TOKENS = 180
# Model tokens that the answer's id adds to text or JSON.
ID_TOKENS = 11


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
) -> RenderedAnswer:
    """Return the order flow of `ticker` over exactly the last `history`.

    The renderings are returned too: they were made to count the answer's model tokens. Raises
    `BadTicker`, `BadHistory`, `BadMoment`, `NoAnswer` or `StoreUnavailable`, each with a message
    for people.
    """
    snapshot = reader.snapshot(
        ticker,
        parse_history(history),
        include_patterns=include_patterns,
        at_ms=parse_moment(as_of, clock.now_ms()),
    )
    fit, cost_of = (fit_brief_to_budget, brief_cost) if detail == "brief" else (fit_to_budget, cost)
    candidates: list[RenderedAnswer] = []

    def candidate_cost(answer: Answer) -> float:
        candidates.append(RenderedAnswer(answer, render(answer)))
        return cost_of(candidates[-1].reply)

    answer = fit(snapshot, candidate_cost)
    return (
        candidates[-1]
        if candidates[-1].answer is answer
        else RenderedAnswer(answer, render(answer))
    )


def cost(rendered: RenderedReply) -> float:
    """Return the share of its budget that an answer takes; above 1 it is too long."""
    return max(
        (tokens_at_most(rendered.text) + ID_TOKENS) / MAX_TEXT_TOKENS,
        (tokens_at_most(rendered.json) + ID_TOKENS) / MAX_JSON_TOKENS,
    )


def brief_cost(rendered: RenderedReply) -> float:
    """Return the share of a brief answer's budget that the longer of text and JSON takes."""
    longer = max(tokens_at_most(rendered.text), tokens_at_most(rendered.json))
    return (longer + ID_TOKENS) / MAX_BRIEF_TOKENS
