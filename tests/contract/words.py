"""The words that judge or advise, in one list for all that is written, typed or answered."""

import re

# Nobody reads these anywhere: they judge a price's future or advise.
FORBIDDEN = re.compile(
    r"\b(bullish|bearish|entry|entries|target\w*|signal\w*|recommend\w*|opportunit\w*|profit\w*)\b",
    re.IGNORECASE,
)
# Sides of a taker. Documents may say them of an aggressor; what a client is sent never does.
SIDED = re.compile(r"\b(buys?|sells?)\b", re.IGNORECASE)
AGGRESSOR = re.compile(r"aggressor|taker|took|print", re.IGNORECASE)
# Plain English in a document; beside a ticker's numbers they name a position or give advice.
FORBIDDEN_IN_ANSWERS = re.compile(r"\b(long|short|should)\b", re.IGNORECASE)
# Said of time, and by the page to its own language.
HARMLESS = re.compile(r"for unusually long|Object\.entries")


def forbidden_in(text: str) -> list[str]:
    """Return the words that no text of the project may hold.

    >>> forbidden_in("A bullish signal: we recommend an entry")
    ['bullish', 'signal', 'recommend', 'entry']
    """
    return FORBIDDEN.findall(text)


def forbidden_in_answer(text: str) -> list[str]:
    """Return the words that nothing sent to a client may hold.

    >>> forbidden_in_answer("You should buy: a target")
    ['target', 'buy', 'should']
    """
    said = HARMLESS.sub("", text)
    return FORBIDDEN.findall(said) + SIDED.findall(said) + FORBIDDEN_IN_ANSWERS.findall(said)


def sides_without_aggressor(paragraphs: list[str]) -> list[str]:
    """Return the paragraphs that say buy or sell of anything but an aggressor."""
    return [text for text in paragraphs if SIDED.search(text) and not AGGRESSOR.search(text)]
