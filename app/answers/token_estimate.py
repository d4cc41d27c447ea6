"""Estimate from above how many model tokens a text costs, without a tokenizer.

Estimates are never below o200k's counts on this project's answers: benchmarks/tokens.py compares.
"""

import math
import re

# Splits text as tokenizers do, one match a token: words with the character before them by six,
# digits by three, punctuation by three. One expression, since every answer is counted.
_TOKENS = re.compile(
    r"[A-Za-z]{1,6}|[0-9]{1,3}|[^A-Za-z0-9\n][A-Za-z]{1,5}"
    r"|[^\sA-Za-z0-9]{1,3}| [^\sA-Za-z0-9]{1,2}|\s{1,3}"
)


def tokens_at_most(text: str) -> int:
    """Return an upper estimate of a text's o200k tokens.

    >>> tokens_at_most("wall bid at 585.3")
    8
    """
    # Ids of eight random letters and digits, and some punctuation, take slightly more.
    return math.ceil(len(_TOKENS.findall(text)) * 1.03)
