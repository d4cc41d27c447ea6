"""Windows of stored seconds against what the engine published of the same seconds."""

from dataclasses import astuple
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.analysis.bars import SECOND_MS, Bar
from app.analysis.gaps import Gap
from app.analysis.metrics import compute_metrics
from app.analysis.rolling_bars import RollingBars
from app.analysis.windows import WINDOWS
from app.history.window_table import StoredSeconds, WindowTable
from tests.builders import START_MS, quote, second, stream
from tests.kept_files import EngineRun
from tests.strategies import Flavour, flavours

NOT_RECOMPUTED = {"spread_ticks", "ranks", "rank_windows"}


def known(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if name not in NOT_RECOMPUTED}


def assert_as_published(published: EngineRun, table: WindowTable, end: int) -> None:
    for name, seconds in WINDOWS.items():
        [window] = table.windows(end, (seconds,))
        found = dict(compute_metrics(window, 0))
        wanted = known(published.metrics[end][name])
        assert set(found) - {"as_of"} == set(wanted) - {"as_of"}, (name, end)
        for field, value in wanted.items():
            assert found[field] == (
                value if isinstance(value, str) else pytest.approx(value, rel=1e-9, abs=1e-9)
            ), (name, field, end)


@settings(max_examples=25)
@given(flavours(300), st.lists(st.floats(0.01, 1), min_size=3, max_size=3))
def test_every_window_has_the_numbers_that_were_published(
    flavour: Flavour, moments: list[float]
) -> None:
    published = EngineRun(flavour.stream())
    ends = sorted(published.metrics)

    for moment in (*moments, 1):
        end = ends[round(moment * (len(ends) - 1))]
        table = WindowTable(
            StoredSeconds.from_bars(published.bars).between(end - 300_000, end), end, published.gaps
        )
        assert_as_published(published, table, end)


@settings(max_examples=25)
@given(flavours(200), st.floats(0.1, 0.9), st.floats(0.4, 400), st.floats(0.1, 1))
def test_what_a_gap_cut_is_cut(
    flavour: Flavour, begins: float, lasts: float, moment: float
) -> None:
    records = flavour.stream()
    start = records[0].stamp + begins * (records[-1].stamp - records[0].stamp)
    gap = (round(start), round(start + lasts * SECOND_MS))
    published = EngineRun(
        [one for one in records if not gap[0] < one.stamp <= gap[1]] or records, gaps=(gap,)
    )
    ends = sorted(published.metrics)
    end = ends[round(moment * (len(ends) - 1))]
    gaps = [known for known in published.gaps if known.end <= end]

    table = WindowTable(
        StoredSeconds.from_bars(published.bars).between(end - 300_000, end), end, gaps
    )

    assert_as_published(published, table, end)


def test_a_silent_stretch_counts_with_the_quote_that_stood() -> None:
    bars = EngineRun(stream(*(quote(at=at) for at in range(5)))).bars
    later = Bar(bars[-1].end + 60_000)
    stored = StoredSeconds.from_bars([*bars, later])

    table = WindowTable(stored, later.end - SECOND_MS)
    rolling = RollingBars.from_bars(bars, 120)
    rolling.fill_to(later.end - SECOND_MS)

    for span in (10, 60):
        [mine], [usual] = (one.windows(table.end, (span,)) for one in (table, rolling))
        assert astuple(mine.sums) == pytest.approx(astuple(usual.sums))
        assert mine.end == tuple(usual.end)


def test_time_that_was_lost_is_not_covered() -> None:
    bars = EngineRun(stream(*(quote(at=at) for at in range(5)))).bars
    stored = StoredSeconds.from_bars([*bars, *EngineRun(stream(quote(at=100), quote(at=105))).bars])
    end = second(102)

    [silent], [lost] = (
        WindowTable(stored, end, gaps).windows(end, (60,))
        for gaps in ((), [Gap(second(10), second(90), cut_to=second(90))])
    )

    # A ticker that begins anew without a gap was not seen before either.
    assert silent.sums.covered_ms == lost.sums.covered_ms == pytest.approx(2000, abs=1001)


def test_seconds_in_a_finer_unit_are_summed_with_coarser_ones() -> None:
    coarse = EngineRun(stream(*(quote(at=at, bid=10.0, ask=10.1) for at in range(5)))).bars
    fine = EngineRun(stream(*(quote(at=at + 5, bid=10.0, ask=10.1) for at in range(5)))).bars
    whole = StoredSeconds.from_bars([*coarse, *fine])
    for bar in fine:
        bar.digits += 2
        for name in ("spread_ms", "min_spread", "max_spread"):
            setattr(bar, name, getattr(bar, name) * 100)
        for name in ("bid_price", "ask_price", "mid2", "spread"):
            setattr(bar, name, getattr(bar, name) * 100)
        bar.first_quote = None
    for bar in [*coarse, *fine][1:]:
        bar.first_quote = None
    mixed = StoredSeconds.from_bars([*coarse, *fine])
    end = whole.ends[-1].item()

    for span in (3, 7):
        [one], [other] = (WindowTable(it, end).windows(end, (span,)) for it in (whole, mixed))
        assert compute_metrics(other, 0)["avg_spread"] == pytest.approx(0.1)
        assert compute_metrics(one, 0)["ask_price"] == compute_metrics(other, 0)["ask_price"]


def test_no_seconds_make_an_empty_table() -> None:
    table = WindowTable(StoredSeconds.from_bars([]), START_MS)

    [window] = table.windows(START_MS, (60,))

    assert "bid_price" not in compute_metrics(window, 0)
    assert table.quality(START_MS, 60) == {}


@pytest.mark.parametrize("seconds_before", [1, 30, 60])
def test_a_window_that_ends_before_a_gap_is_compared_with_no_quote_after_it(
    seconds_before: int,
) -> None:
    gap = (START_MS + 90_500, START_MS + 120_500)
    times = [*range(1, 90, 2), *range(121, 180, 2)]
    published = EngineRun(
        stream(*(quote(at=at, bid=10.0 + at / 100, ask=10.1 + at / 100) for at in times)),
        gaps=(gap,),
    )
    whole = RollingBars.from_bars(published.bars, 400, gaps=published.gaps)
    end = second(90 - seconds_before)

    for span in (10, 60):
        [window] = whole.windows(end, (span,))
        name = {10: "10s", 60: "1min"}[span]
        for field in ("bid_price_movement", "net_bid_size_change", "price_velocity"):
            found = dict(compute_metrics(window, 0))
            assert found.get(field) == pytest.approx(published.metrics[end][name].get(field))
