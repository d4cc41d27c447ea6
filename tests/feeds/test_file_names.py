"""A simulated tape's files carry their ticker, whatever characters it has."""

from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from app.cli import main
from app.core.tickers import file_name_of, is_ticker
from app.feeds.replay import find_tapes

NAMES = st.text("ABab019._-/:^=#*+&!@$~", min_size=1, max_size=32).filter(is_ticker)
ODD = ["BTC/USD", "BTC-USD", "A_B", "BAC-I*", "^SPX", "SPY   241220C00450000", "..", "~"]


@given(NAMES)
def test_a_file_s_name_gives_its_ticker_back(ticker: str) -> None:
    name = file_name_of(ticker)
    [found] = find_tapes([Path(f"{name}_seed3.quotes.csv.gz")])

    assert found.ticker == ticker
    assert len(name) <= 3 * len(ticker)
    assert set(name) & set("/_*~ :$&") == set()


def test_tickers_that_differ_in_one_character_have_files_of_their_own(tmp_path: Path) -> None:
    words = ["feed", "simulate", "--tape", str(tmp_path), "--seconds", "2", "--tickers"]

    done = CliRunner().invoke(main, [*words, ",".join(ODD)])

    assert done.exit_code == 0, done.output
    tapes = find_tapes(tmp_path.glob("*.quotes.csv.gz"))
    assert sorted(tape.ticker for tape in tapes) == sorted(ODD)
    assert all(tape.trades is not None for tape in tapes)


@pytest.mark.parametrize("name", ["A%20B.quotes.csv", "%2D.quotes.csv", "%.quotes.csv"])
def test_what_decodes_to_no_ticker_is_refused(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_text("ts_ms,bid_price,bid_size,ask_price,ask_size\n")

    done = CliRunner().invoke(main, ["feed", "replay", str(path)])

    assert done.exit_code == 1
    assert "is not allowed: a ticker is 1 to 32 of" in done.output
