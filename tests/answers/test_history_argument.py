"""How histories are read."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.answers.history_argument import parse_history
from app.core.errors import BadHistory


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("30s", 30),
        ("45sec", 45),
        ("5m", 300),
        ("5min", 300),
        ("5mins", 300),
        ("10 minutes", 600),
        ("1h", 3600),
        ("5-minute", 300),
        ("last-hour", 3600),
        ("in the last 15 minutes", 900),
        ("previous hour", 3600),
        ("quarter of an hour", 900),
        ("1 Hour", 3600),
        ("90", 90),
        (" 10 ", 10),
        ("3600 seconds", 3600),
        ("60mins", 3600),
        ("300.0", 300),
        ("90.0 seconds", 90),
        ("last hour", 3600),
        ("the last 5 minutes", 300),
        ("past minute", 60),
        ("five minutes", 300),
        ("An Hour", 3600),
        ("half an hour", 1800),
        ("forty-five  secs", 45),
        ("ninety seconds", 90),
    ],
)
def test_accepted_forms_give_whole_seconds(text: str, seconds: int) -> None:
    assert parse_history(text) == seconds


@pytest.mark.parametrize(
    "text",
    [
        "",
        "banana",
        "-5m",
        "5 m m",
        "1.5m",
        "9s",
        "0",
        "2hours",
        "3601",
        "61min",
        "5x",
        "\u0665m",
        "1e2",
        "300.5",
        "last",
        "five",
        "a m",
        "last last hour",
        "\u212a",
        "10s;",
        "9" * 50,
    ],
)
def test_anything_else_is_refused_with_the_accepted_forms(text: str) -> None:
    with pytest.raises(BadHistory, match="accepted: 30s, 45sec"):
        parse_history(text)


@given(st.text())
def test_no_text_gives_seconds_outside_ten_seconds_to_an_hour(text: str) -> None:
    try:
        seconds = parse_history(text)
    except BadHistory:
        return

    assert 10 <= seconds <= 3600
