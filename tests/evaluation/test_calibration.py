"""Ranks and return periods are counted as the scorecard says, and shown."""

import math
from pathlib import Path

import numpy as np
import pytest

from app.analysis.metric_table import RANKED
from app.analysis.windows import WINDOWS
from app.evaluation.scorecard.calibration import Calibration, RankCounts, calibrate
from app.evaluation.scorecard.plots import draw
from app.evaluation.scorecard.report import render_page
from app.evaluation.scorecard.rows import QUICK, Scorecard
from tests.analysis.test_ranks import market
from tests.tapes import FOLDER, records_of

BOUNDS = (0.03, 0.08), (0.005, 0.02)
"""Of 10s and 1min: the shares of each tail, and of ranks from .99 on."""


def uniform(half_hours: int = 2) -> RankCounts:
    return RankCounts(np.full((half_hours, len(RANKED), 100), 3))


def calibration() -> Calibration:
    """Make one in which walls come exactly as often as they say, and sweeps twice as often."""
    periods = {
        "wall": [60.0 / (n + 1) for n in range(150)],
        "sweep": [120.0 / (n + 1) for n in range(300)],
        "price_gap": [50.0],
    }
    return Calibration("day", {name: uniform() for name in WINDOWS}, periods, minutes=180.0)


def test_even_ranks_have_as_many_in_each_tail_as_they_should() -> None:
    ranks = uniform()

    assert (ranks.high, ranks.low, ranks.highest) == pytest.approx((0.05, 0.05, 0.01))
    assert ranks.worst_half_hour() == pytest.approx(0.05)


def test_the_worst_metric_and_half_hour_are_named() -> None:
    ranks = uniform()
    ranks.counts[1, RANKED.index("ofi"), 95:] = 300

    name, share = ranks.worst_metric()

    assert (name, ranks.low < 0.05 < ranks.high) == ("ofi", True)
    assert share == pytest.approx(5 * 303 / (5 * 303 + 95 * 6))
    assert ranks.worst_half_hour() > 0.05


def test_a_metric_that_is_never_known_counts_for_nothing() -> None:
    ranks = uniform()
    ranks.counts[:, RANKED.index("trade_count")] = 0

    assert ranks.high == pytest.approx(0.05)
    assert math.isnan(RankCounts(np.zeros((1, len(RANKED), 100), np.int64)).high)


@pytest.mark.parametrize(("minutes", "wall", "sweep"), [(10, 6 / 18, 12 / 18), (30, 2 / 6, 4 / 6)])
def test_return_periods_are_compared_with_what_they_promise(
    minutes: int, wall: float, sweep: float
) -> None:
    found = calibration()

    ratios = {row.type: row.ratio for row in found.return_ratios(minutes)}

    assert ratios == pytest.approx({"wall": wall, "sweep": sweep})  # a rare type is not compared
    assert found.pooled(minutes) == pytest.approx((wall + sweep) / 2)
    assert found.rates_an_hour(minutes)["wall"] == pytest.approx(wall * 60 / minutes)


def test_a_short_tape_compares_no_return_periods() -> None:
    found = calibration()
    found.minutes = 149.0

    assert found.return_ratios(10) == []
    assert math.isnan(found.pooled(10))


def test_a_tape_is_counted_from_its_second_hour_on() -> None:
    records = list(market(1, 62))

    found = calibrate("simulated", records)

    seconds = (records[-1].stamp - records[0].stamp) / 1000 - 3600
    for ranks in found.ranks.values():
        assert not ranks.counts[:2].any()
        assert ranks.counts[2, RANKED.index("spread_bps")].sum() == pytest.approx(seconds, abs=2)
        assert 0 <= ranks.low <= 1
    assert found.minutes == pytest.approx(62 - 30, abs=0.1)
    assert sum(map(len, found.periods.values())) > 20


@pytest.mark.skipif(not FOLDER.exists(), reason="the real tapes are not here")
def test_on_a_real_day_what_is_called_rare_is_rare() -> None:
    found = calibrate("AAPL", records_of("AAPL_2012-06-21"))

    for window, ranks in found.ranks.items():
        most, highest = ((0.02, 0.12), (0.003, 0.03)) if window == "5min" else BOUNDS
        assert most[0] <= ranks.high <= most[1]
        assert most[0] <= ranks.low <= most[1]
        assert highest[0] <= ranks.highest <= highest[1]
    for minutes, low, high in ((10, 0.5, 2.0), (30, 0.25, 2.2)):
        ratios = {row.type: row.ratio for row in found.return_ratios(minutes)}
        assert len(ratios) > 3
        assert {kind: it for kind, it in ratios.items() if not low <= it <= high} == {}
        assert 1 / 1.3 <= found.pooled(minutes) <= 1.3


def test_the_page_and_its_plots_show_the_calibrations(tmp_path: Path) -> None:
    card = Scorecard(calibrations=[calibration()])

    page = render_page(card, QUICK, [])
    plots = draw(card, tmp_path)

    assert "| day | 10s | 5 | 5 | 1 | `spread_bps` 5 | 5 |" in page
    assert "| day | wall | 150 | 0.333 | 0.333 |" in page
    assert "| day | *all* | | 0.5 | 0.5 |" in page
    assert {"ranks-10s.svg", "returns.svg"} <= set(plots)
    assert all((tmp_path / name).stat().st_size > 1000 for name in plots)
