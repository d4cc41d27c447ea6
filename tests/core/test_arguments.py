"""Durations and numbers are read alike wherever a person or a model types them."""

import click
import pytest
from click.testing import CliRunner, Result

from app.cli import main
from app.core.arguments import Seconds, check_range, check_words
from app.core.errors import BadQuestion
from app.core.tickers import parse_ticker, parse_tickers


def typed(text: str) -> Result:
    @click.command()
    @click.option("--seconds", type=Seconds(min=1, max=3600))
    def echo(seconds: int) -> None:
        click.echo(seconds)

    return CliRunner().invoke(echo, ["--seconds", text])


@pytest.mark.parametrize(
    ("text", "seconds"), [("90", 90), ("5m", 300), ("10 minutes", 600), ("1h", 3600)]
)
def test_an_option_takes_a_duration_in_the_forms_of_a_history(text: str, seconds: int) -> None:
    assert typed(text).output == f"{seconds}\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("soon", "'soon' is not a valid integer range"),
        ("0", "0 is not in the range 1<=x<=3600"),
        ("-5", "-5 is not in the range 1<=x<=3600"),
        ("2h", "7200 is not in the range 1<=x<=3600"),
    ],
)
def test_an_option_refuses_what_is_no_duration_within_bounds(text: str, message: str) -> None:
    assert message in typed(text).output


def test_commands_take_durations() -> None:
    load = ["capacity", "--tickers", "10", "--retention"]

    hour, seconds = (CliRunner().invoke(main, [*load, text]) for text in ("1h", "3600"))

    assert hour.exit_code == 0
    assert hour.output == seconds.output


def test_spaces_around_a_ticker_are_no_part_of_it() -> None:
    assert parse_ticker(" SPY\n") == "SPY"
    assert parse_tickers("SPY, QQQ ,SPY") == ["SPY", "QQQ"]


def test_a_number_outside_its_bounds_is_refused_with_them() -> None:
    check_range("limit", 40, 1, 40)
    for number in (0, 41, float("nan")):
        with pytest.raises(BadQuestion, match="limit lies from 1 to 40"):
            check_range("limit", number, 1, 40)


def test_words_are_refused_where_one_is_unknown_or_too_many_are_given() -> None:
    check_words("fields", ["mid"], ("mid", "ofi"), 2)
    for words, fault in ((["mid", "x"], r"\['x'\] not known"), (["mid"] * 3, "3 given"), ([], "0")):
        with pytest.raises(BadQuestion, match=f"fields: {fault}.*; 1 to 2 of: mid, ofi"):
            check_words("fields", words, ("mid", "ofi"), 2)
