"""Any text is a ticker, a history, a key, or is refused by name."""

from hypothesis import example, given
from hypothesis import strategies as st

from app.answers.history_argument import MAX_SECONDS, MIN_SECONDS, parse_history
from app.core.errors import BadHistory, BadTicker
from app.core.tickers import is_ticker, parse_ticker
from app.storage.keys import Keys

any_texts = st.text(st.characters(codec=None, exclude_categories=()))
near_tickers = st.text(sorted("ABCab01 ._-/:^=#*+&!@$~%,{}[]?|<>\"'"), max_size=34)
texts = any_texts | near_tickers
ALLOWED = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-/:^=#*+&!@$~")
DATE_TO_STRIKE = 15


@given(texts)
@example("SPY\n")
@example("\ud800")
@example("SPY\u0000")
@example("\uff33PY")
@example("SPY   241220C00450000")
@example("SPY  241220C00450000")
@example("SPY   24122\u0660C00450000")
@example("SPY   241220X00450000")
@example("S PY  241220C00450000")
@example("^SPX")
@example("/ESZ6")
@example("_X")
@example(":X")
@example("x" * 33)
def test_a_text_is_a_ticker_only_if_every_character_is_allowed(text: str) -> None:
    assert is_ticker(text) == is_allowed(text)
    try:
        assert parse_ticker(text) == text.strip()
    except BadTicker as error:
        assert not is_allowed(text.strip())
        assert len(str(error)) < 600
    else:
        assert is_allowed(text.strip())


def is_allowed(text: str) -> bool:
    is_plain = 1 <= len(text) <= 32 and set(text) <= ALLOWED and text[0] not in "-:"
    return is_plain or is_padded_option(text)


def is_padded_option(text: str) -> bool:
    root, rest = text[:-DATE_TO_STRIKE], text[-DATE_TO_STRIKE:]
    digits = rest[:6] + rest[7:]
    return (
        len(text) == 21
        and root.endswith(" ")
        and is_allowed(root.rstrip(" "))
        and digits.isascii()
        and digits.isdigit()
        and rest[6] in "CP"
    )


@given(texts)
@example("{SPY}")
@example("SPY:1min")
def test_a_key_names_a_ticker_only_if_it_is_built_from_it(text: str) -> None:
    for names in (Keys(), Keys(cluster=True)):
        ticker = names.ticker_of_quotes(f"orderflow:quotes:{text}")
        assert ticker is None or names.quotes(ticker) == f"orderflow:quotes:{text}"


numbers = st.integers(0, 10**7).map(str)
units = st.sampled_from(
    ("", "s", "SEC", " minutes", "h", "hours", "d", "ms", "\u0663", "\u2007min")
)


@given(st.one_of(texts, st.builds("".join, st.tuples(numbers, units))))
@example("\u0663\u0660s")
@example("1e2")
@example("5m\n")
@example("9" * 5000)
@example("-60")
@example("1\u2000MIN")
def test_a_text_is_a_history_within_bounds_or_is_refused(text: str) -> None:
    try:
        seconds = parse_history(text)
    except BadHistory as error:
        assert "accepted" in str(error)
        assert len(str(error)) < 600
    else:
        assert MIN_SECONDS <= seconds <= MAX_SECONDS
        assert text.strip().isascii()
