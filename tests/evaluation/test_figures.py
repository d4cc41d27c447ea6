"""The figures of the AAPL tape come out as they were measured, within their tolerances."""

from functools import cache

import pytest

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

pytestmark = pytest.mark.skipif(
    not (FOLDER / f"{AAPL}.quotes.csv.gz").exists(), reason="the tape is not here"
)


@cache
def figures() -> dict[str, float]:
    day = read_tape_tables(FOLDER / f"{AAPL}.quotes.csv.gz", FOLDER / f"{AAPL}.trades.csv.gz")
    return {figure.name: figure.value for figure in compute_figures(day)}


def test_the_table_holds_exactly_the_measured_figures() -> None:
    assert figures().keys() == MEASURED.keys()


@pytest.mark.parametrize("name", MEASURED)
def test_a_figure_comes_out_as_measured(name: str) -> None:
    value, tolerance = MEASURED[name]

    assert figures()[name] == pytest.approx(value, abs=tolerance)
