"""One question about a ticker, from the words it is asked in to its answer."""

from typing import Literal, NamedTuple

from app.answers.as_of_argument import parse_moment
from app.answers.history_argument import DEFAULT_HISTORY, parse_history
from app.answers.reader import Reader
from app.answers.rendering import RenderedReply, render
from app.answers.ticker_answer import Answer, fit_brief_to_budget, fit_to_budget
from app.answers.token_estimate import tokens_at_most
from app.core import clock
from app.core.tickers import parse_ticker

Detail = Literal["full", "brief"]

MAX_TEXT_TOKENS = 800
MAX_JSON_TOKENS = 1300
MAX_BRIEF_TOKENS = 180
# What the answer's id adds to either form.
ID_TOKENS = 11


class RenderedAnswer(NamedTuple):
    """An answer and what it looks like."""

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
    """Answer what the order flow of `ticker` was over exactly the last `history`.

    With the answer's forms, which were made to count its tokens. Raises `BadTicker`, `BadHistory`,
    `BadMoment`, `NoAnswer` or `StoreUnavailable`, each with a line for people.
    """
    snapshot = reader.snapshot(
        parse_ticker(ticker),
        parse_history(history),
        include_patterns=include_patterns,
        at_ms=parse_moment(as_of, clock.now_ms()),
    )
    fit, cost_of = (fit_brief_to_budget, brief_cost) if detail == "brief" else (fit_to_budget, cost)
    tried: list[RenderedAnswer] = []

    def tried_cost(answer: Answer) -> float:
        tried.append(RenderedAnswer(answer, render(answer)))
        return cost_of(tried[-1].reply)

    answer = fit(snapshot, tried_cost)
    return tried[-1] if tried[-1].answer is answer else RenderedAnswer(answer, render(answer))


def cost(forms: RenderedReply) -> float:
    """Return how much of its budget an answer takes, above 1 where it is too long."""
    return max(
        (tokens_at_most(forms.text) + ID_TOKENS) / MAX_TEXT_TOKENS,
        (tokens_at_most(forms.json) + ID_TOKENS) / MAX_JSON_TOKENS,
    )


def brief_cost(forms: RenderedReply) -> float:
    """Return how much of a brief answer's budget it takes in its longer form."""
    longer = max(tokens_at_most(form) for form in (forms.text, forms.json))
    return (longer + ID_TOKENS) / MAX_BRIEF_TOKENS
