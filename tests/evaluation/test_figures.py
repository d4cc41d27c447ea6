"""The figures of the AAPL tape come out as they were measured, within their tolerances."""

import math
from functools import cache
from pathlib import Path

import pytest

from app.evaluation.figures.books import queue_imbalance_auc
from app.evaluation.figures.figure_list import compute_figures
from app.evaluation.figures.tape_tables import read_tape_tables
from tests.tapes import FOLDER

AAPL = "AAPL_2012-06-21"
MEASURED = {
    "hidden share of traded volume": (0.3523, 0.0005),
    "hidden prints that leave the best quote unchanged": (1.0, 0.0005),
    "OFI R2, 10 s, day": (0.412, 0.01),
    "OFI R2, 10 s, mean of half hours": (0.509, 0.015),
    "log-OFI R2, 10 s, day": (0.505, 0.01),
    "log-OFI R2, 10 s, mean of half hours": (0.598, 0.01),
    "visible trade imbalance R2, 10 s": (0.327, 0.01),
    "Lee-Ready accuracy, all prints": (0.954, 0.003),
    "Lee-Ready accuracy, visible prints": (1.0, 0.003),
    "Lee-Ready accuracy, hidden prints": (0.857, 0.003),
    "time-weighted spread, ticks": (15.13, 0.05),
    "effective spread, visible prints, bp, mean": (1.770, 0.02),
    "effective spread, visible prints, bp, size-weighted": (1.699, 0.02),
    "market orders over 2 or more visible prices": (0.0392, 0.0005),
    "trade share of same-price size decreases": (0.519, 0.005),
    "trade share of lost levels": (0.402, 0.005),
    "queue imbalance AUC": (0.563, 0.01),
}

needs_aapl = pytest.mark.skipif(
    not (FOLDER / f"{AAPL}.quotes.csv.gz").exists(), reason="the tape is not here"
)


@cache
def figures() -> dict[str, float]:
    day = read_tape_tables(FOLDER / f"{AAPL}.quotes.csv.gz", FOLDER / f"{AAPL}.trades.csv.gz")
    return {figure.name: figure.value for figure in compute_figures(day)}


@needs_aapl
def test_the_table_holds_exactly_the_measured_figures() -> None:
    assert figures().keys() == MEASURED.keys()


@needs_aapl
@pytest.mark.parametrize("name", MEASURED)
def test_a_figure_comes_out_as_measured(name: str) -> None:
    value, tolerance = MEASURED[name]

    assert figures()[name] == pytest.approx(value, abs=tolerance)


BTC = "BTCUSDT-PERP_2024-08-08"


@pytest.mark.skipif(not (FOLDER / f"{BTC}.quotes.csv.gz").exists(), reason="the tape is not here")
def test_the_queue_imbalance_of_a_future_is_looked_at_once_between_two_moves() -> None:
    day = read_tape_tables(FOLDER / f"{BTC}.quotes.csv.gz", FOLDER / f"{BTC}.trades.csv.gz")
    assert queue_imbalance_auc(day) == pytest.approx(0.869, abs=0.01)


def tape(path: Path, columns: str, rows: list[str]) -> Path:
    path.write_text("\n".join([columns, *rows, ""]))
    return path


QUOTES = "ts_ms,bid_price,bid_size,ask_price,ask_size,seq"
TRADES = "ts_ms,price,size,aggressor,seq"


def test_each_move_of_the_mid_counts_once_however_long_it_was_waited_for(tmp_path: Path) -> None:
    # The mid rises after a minute with a heavy bid, and falls after a second with a light one.
    rows, at, cents = [], 0, 1000
    for number in range(40):
        up = number % 2 == 0
        bid_size, waited = (90, 60_000) if up else (10, 1000)
        seq = 2 * number
        rows.append(f"{at},{cents / 100},{bid_size},{cents / 100 + 0.01},50,{seq}")
        # The last quote before the move says the contrary, for a thousandth of the time.
        at += waited
        rows.append(f"{at - waited // 1000},{cents / 100},{50},{cents / 100 + 0.01},50,{seq + 1}")
        cents += 1 if up else -1
    day = read_tape_tables(tape(tmp_path / "q.csv", QUOTES, rows))

    assert queue_imbalance_auc(day) == 1.0


LITTLE = {
    "one quote": (["1000,10,5,10.1,5,1"], []),
    "quotes only": ([f"{1000 * k},10,{5 + k % 3},{10.1 + k % 2},5,{k}" for k in range(90)], []),
    "a book that never moves": ([f"{1000 * k},10,5,10.1,5,{k}" for k in range(90)], []),
    "no aggressors": (
        [f"{1000 * k},10,{5 + k % 3},{10.1 + k % 2},5,{2 * k}" for k in range(90)],
        [f"{1000 * k + 500},10,1,,{2 * k + 1}" for k in range(80)],
    ),
    "trades of a feed that stamps them apart": (
        [f"{1000 * k},10,{5 + k % 3},{10.1 + k % 2},5,{3 * k}" for k in range(90)],
        [f"{1000 * k + 500 + k % 2},{10 + k % 2},1,buy,{3 * k + 1}" for k in range(80)],
    ),
}


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("name", LITTLE)
def test_a_figure_that_a_tape_does_not_tell_is_absent(name: str, tmp_path: Path) -> None:
    quotes, trades = LITTLE[name]
    paths = [tape(tmp_path / "q.csv", QUOTES, quotes)]
    if trades:
        paths.append(tape(tmp_path / "t.csv", TRADES, trades))

    found = {figure.name: figure.value for figure in compute_figures(read_tape_tables(*paths))}

    assert all(math.isfinite(value) for value in found.values())
    absent = {"hidden share of traded volume", "market orders over 2 or more visible prices"}
    assert found.keys().isdisjoint(absent)
    assert ("OFI R2, 10 s, day" in found) == (name not in {"one quote", "a book that never moves"})
    assert ("Lee-Ready accuracy, all prints" in found) == name.startswith("trades")
