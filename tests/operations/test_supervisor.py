"""ORDERFLOW_FEED names the feed that `make run` starts."""

import pytest

from app.core.errors import SettingError
from app.operations.supervisor import feed


@pytest.mark.parametrize(
    ("given", "arguments"),
    [
        ("simulate", ["simulate"]),
        (" simulate ", ["simulate"]),
        ("a.quotes.csv", ["replay", "a.quotes.csv", "--loop"]),
        ("'my tapes/a.csv' b.csv", ["replay", "my tapes/a.csv", "b.csv", "--loop"]),
    ],
)
def test_a_feed_is_the_simulation_or_tapes_that_are_replayed(
    given: str, arguments: list[str]
) -> None:
    [program] = feed(given)

    assert list(program.command[-len(arguments) - 1 :]) == ["feed", *arguments]


def test_none_is_no_feed() -> None:
    assert feed("none") == []


@pytest.mark.parametrize("given", ["'a.csv", " "])
def test_what_names_no_feed_is_refused_by_the_variables_name(given: str) -> None:
    with pytest.raises(SettingError, match=r"ORDERFLOW_FEED=.* is not allowed; allowed: simulate"):
        feed(given)
