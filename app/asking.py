"""One question about a ticker, from the words it is asked in to its answer."""

from app.answers import Answer, answer_of
from app.histories import parse_history
from app.reader import Reader
from app.tickers import checked_ticker


def ask(
    reader: Reader, ticker: str, history: str = "5mins", *, include_patterns: bool = True
) -> Answer:
    """Answer what the order flow of `ticker` was over exactly the last `history`.

    Raises `BadTicker`, `BadHistory`, `NoAnswer` or `StoreUnavailable`, each with a line for people.
    """
    snapshot = reader.snapshot(
        checked_ticker(ticker), parse_history(history), include_patterns=include_patterns
    )
    return answer_of(snapshot)
