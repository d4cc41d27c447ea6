"""Words of change where a ratio is exactly what separates them."""

import random

import pytest

from app.analysis.bars import Bar
from app.analysis.metrics import compute_metrics
from app.analysis.rolling_bars import RollingBars

START = 1_700_000_000


@pytest.mark.parametrize("seconds", [(4, 5), (6, 5)])
def test_a_ratio_at_the_threshold_is_stable_whatever_rounding_makes_of_it(
    seconds: tuple[int, int],
) -> None:
    draw = random.Random(1)  # noqa: S311 - a test's, not a secret's
    words = set()
    for _ in range(200):
        size_ms = 1000 * draw.uniform(0.5, 2)
        # The late half's mean over the early half's: 4/5 of the size, or 6/5.
        shares = [seconds[1] / 6] * 5 + [seconds[0] / 6] * 5
        bars = [Bar((START + n) * 1000) for n in range(10)]
        for bar, share in zip(bars, shares, strict=True):
            bar.covered_ms, bar.bid_size_ms, bar.stood = 1000.0, size_ms * share, 1
            bar.bid_price, bar.bid_size = 10_00000000, 1.0
        table = RollingBars.from_bars([Bar((START - 1) * 1000), *bars])
        words.add(compute_metrics(table.windows(table.end, (10,))[0], 0)["bid_size_acceleration"])

    assert words == {"STABLE"}
