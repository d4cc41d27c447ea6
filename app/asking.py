"""One question about a ticker, from the words it is asked in to its answer."""

from typing import Literal

from app import clock
from app.answer_text import as_text
from app.answers import Answer, brief_fitted, fitted
from app.histories import parse_history
from app.moments import parse_moment
from app.reader import Reader
from app.saying import compact
from app.tickers import checked_ticker
from app.tokens import tokens_at_most

Detail = Literal["full", "brief"]

MAX_TEXT_TOKENS = 800
MAX_JSON_TOKENS = 1300
MAX_BRIEF_TOKENS = 180
# What the answer's id adds to either form.
ID_TOKENS = 11


def ask(  # noqa: PLR0913 - the contract's arguments
    reader: Reader,
    ticker: str,
    history: str = "5mins",
    *,
    include_patterns: bool = True,
    detail: Detail = "full",
    as_of: str = "",
) -> Answer:
    """Answer what the order flow of `ticker` was over exactly the last `history`.

    Raises `BadTicker`, `BadHistory`, `BadMoment`, `NoAnswer` or `StoreUnavailable`, each with a
    line for people.
    """
    snapshot = reader.snapshot(
        checked_ticker(ticker),
        parse_history(history),
        include_patterns=include_patterns,
        at_ms=parse_moment(as_of, clock.now_ms()),
    )
    return brief_fitted(snapshot, brief_cost) if detail == "brief" else fitted(snapshot, cost)


def cost(answer: Answer) -> float:
    """Return how much of its budget an answer takes, above 1 where it is too long."""
    return max(
        (tokens_at_most(as_text(answer)) + ID_TOKENS) / MAX_TEXT_TOKENS,
        (tokens_at_most(compact(answer.as_json())) + ID_TOKENS) / MAX_JSON_TOKENS,
    )


def brief_cost(answer: Answer) -> float:
    """Return how much of a brief answer's budget it takes in its longer form."""
    longer = max(tokens_at_most(form) for form in (as_text(answer), compact(answer.as_json())))
    return (longer + ID_TOKENS) / MAX_BRIEF_TOKENS
