"""Estimate from above how many model tokens a text costs, without a tokenizer.

Estimates are never below o200k's counts on this project's answers: benchmarks/tokens.py compares.
"""

import functools
import math
import re
from typing import Final

# Splits text as tokenizers do, one match a token: words with the character before them by six,
# digits by three, punctuation by three. One expression, since every answer is counted.
_TOKENS = re.compile(
    r"[A-Za-z]{1,6}|[0-9]{1,3}|[^A-Za-z0-9\n][A-Za-z]{1,5}"
    r"|[^\sA-Za-z0-9]{1,3}| [^\sA-Za-z0-9]{1,2}|\s{1,3}"
)


# Ids of eight random letters and digits, and some punctuation, take slightly more.
_MARGIN: Final = 1.03
_MAX_LINES: Final = 256


def tokens_at_most(text: str) -> int:
    """Return an upper estimate of a text's o200k tokens.

    >>> tokens_at_most("wall bid at 585.3")
    8
    """
    return math.ceil(len(_TOKENS.findall(text)) * _MARGIN)


def tokens_of_lines(text: str) -> int:
    r"""Return the same of a text of which most lines were counted before.

    No token but white space reaches over the end of a line.

    >>> text = "wall bid at 585.3\nwall ask at 585.4"
    >>> tokens_of_lines(text) == tokens_at_most(text)
    True
    """
    lines = text.split("\n")
    return math.ceil((sum(map(_matches_in_line, lines)) + len(lines) - 1) * _MARGIN)


@functools.lru_cache(_MAX_LINES)
def _matches_in_line(line: str) -> int:
    return len(_TOKENS.findall(line))
