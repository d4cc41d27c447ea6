"""Estimate from above how many model tokens a text costs, without a tokenizer.

Estimates are never below o200k's counts on this project's answers: benchmarks/tokens.py compares.
"""

import functools
import math
import re
import string
from typing import Final


def _kind(char: str) -> str:
    """Return one character for all that tokens do not tell apart: letters, digits, punctuation."""
    if char in string.ascii_letters:
        return "a"
    if char in string.digits:
        return "0"
    if char in " \n":
        return char
    return "\t" if char.isspace() else "."


_KINDS: Final = "".join(map(_kind, map(chr, range(256)))).encode("ascii")
# Splits the kinds of a text's characters as tokenizers split it, one match a token: words with the
# character before them by six, digits by three, punctuation by three. One expression, since every
# answer is counted; kinds, since one byte is matched faster than one of many characters.
_TOKENS: Final = re.compile(rb"[. \t]a{1,5}|0{1,3}|\.{1,3}|a{1,6}| \.{1,2}|[ \t\n]{1,3}")


# Ids of eight random letters and digits, and some punctuation, take slightly more.
_MARGIN: Final = 1.03
_MAX_LINES: Final = 256


def tokens_at_most(text: str) -> int:
    """Return an upper estimate of a text's o200k tokens.

    >>> tokens_at_most("wall bid at 585.3")
    8
    """
    return math.ceil(_count(text) * _MARGIN)


def _count(text: str) -> int:
    # What is not ASCII counts as punctuation.
    return len(_TOKENS.findall(text.encode("ascii", "replace").translate(_KINDS)))


def tokens_of_lines(text: str) -> int:
    r"""Return the same of a text of which most lines were counted before.

    No token but white space reaches over the end of a line.

    >>> text = "wall bid at 585.3\nwall ask at 585.4"
    >>> tokens_of_lines(text) == tokens_at_most(text)
    True
    """
    lines = text.split("\n")
    return math.ceil((sum(map(_count_in_line, lines)) + len(lines) - 1) * _MARGIN)


_count_in_line = functools.lru_cache(_MAX_LINES)(_count)
