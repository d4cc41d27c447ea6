"""How many tokens a text costs a model at most, estimated without a tokenizer.

Counts never fall below o200k's on this project's answers: benchmarks/tokens.py compares them.
"""

import math
import re

# As tokenizers cut: a word with the character before it, up to three digits, a run of signs.
_PIECES = re.compile(r"[^A-Za-z0-9\n]?[A-Za-z]+|[0-9]{1,3}| ?[^\sA-Za-z0-9]+|\s+")
_LETTERS_A_TOKEN = 6
_SIGNS_A_TOKEN = 3


def tokens_at_most(text: str) -> int:
    """Return an upper estimate of a text's o200k tokens.

    >>> tokens_at_most("wall bid at 585.3")
    8
    """
    # Ids of eight random letters and digits take a little more than words do.
    return math.ceil(sum(map(_cost, _PIECES.findall(text))) * 1.01)


def _cost(piece: str) -> int:
    per_token = _LETTERS_A_TOKEN if piece[-1].isalpha() else _SIGNS_A_TOKEN
    return -(-len(piece) // per_token)
