"""How many tokens a text costs a model at most, estimated without a tokenizer.

Counts never fall below o200k's on this project's answers: benchmarks/tokens.py compares them.
"""

import math
import re

# As tokenizers cut, in parts that count as one each: a word with the character before it by six,
# digits by three, a run of signs by three. One expression: every answer is counted as it is made.
_TOKENS = re.compile(
    r"[A-Za-z]{1,6}|[0-9]{1,3}|[^A-Za-z0-9\n][A-Za-z]{1,5}"
    r"|[^\sA-Za-z0-9]{1,3}| [^\sA-Za-z0-9]{1,2}|\s{1,3}"
)


def tokens_at_most(text: str) -> int:
    """Return an upper estimate of a text's o200k tokens.

    >>> tokens_at_most("wall bid at 585.3")
    8
    """
    # Ids of eight random letters and digits, and some signs, take a little more than that.
    return math.ceil(len(_TOKENS.findall(text)) * 1.03)
