"""Windows against plain sums over the bars themselves, wherever tens begin and rows are reused."""

import random
from collections.abc import Sequence
from math import ceil, fsum

import pytest

from app.analysis.bars import ADDITIVE_FIELDS, COUNT_FIELDS, Bar
from app.analysis.rolling_bars import START_FIELDS, RollingBars, Window

SPANS = (10, 60, 300)
START = 1_700_000_000


def bar_at(second: int, seed: int = 0) -> Bar:
    draw = random.Random(f"{second} {seed}")  # noqa: S311 - a test's, not a secret's
    bar = Bar(second * 1000).set_fields((name, draw.uniform(-1e4, 1e4)) for name in ADDITIVE_FIELDS)
    bar.set_fields((name, draw.randrange(50)) for name in COUNT_FIELDS)
    if draw.random() < 0.7:
        bar.min_spread = draw.uniform(1e6, 2e6)
        bar.max_spread = bar.min_spread + draw.uniform(0, 1e6)
    return bar


def is_sum_of(window: Window, bars: Sequence[Bar]) -> bool:
    """Compare every field of all three parts with what the newest bars of that length add up to."""
    parts = (window.sums, 1), (window.late_half, 2), (window.late_fifth, 5)
    lows = [bar.min_spread for bar in bars[-window.seconds :] if bar.min_spread]
    highs = [bar.max_spread for bar in bars[-window.seconds :]]
    return (
        all(
            getattr(sums, name)
            == pytest.approx(fsum(getattr(bar, name) for bar in bars[-ceil(window.seconds / n) :]))
            for sums, n in parts
            for name in (*ADDITIVE_FIELDS, *COUNT_FIELDS)
        )
        and window.min_spread == min(lows, default=0.0)
        and window.max_spread == max(highs)
    )


@pytest.mark.parametrize("first", range(START, START + 10))
@pytest.mark.parametrize("number", [1, 7, 59, 305, 700])
def test_windows_are_the_sums_of_their_bars_wherever_the_tens_begin(
    first: int, number: int
) -> None:
    bars = [bar_at(second) for second in range(first, first + number)]
    table = RollingBars.from_bars(bars, spans=SPANS)

    assert all(is_sum_of(window, bars) for window in table.windows(table.end, SPANS))


@pytest.mark.parametrize("replaced", range(1, 12))
def test_a_second_folded_anew_counts_in_every_window(replaced: int) -> None:
    bars = [bar_at(second) for second in range(START, START + 333)]
    table = RollingBars.from_bars(bars, spans=SPANS)

    bars[-replaced] = bar_at(START + 333 - replaced, seed=1)
    table.add(bars[-replaced])

    assert all(is_sum_of(window, bars) for window in table.windows(table.end, SPANS))


@pytest.mark.parametrize("age", [1, 9, 200, 290])
def test_an_earlier_window_reaches_back_no_further_than_what_is_kept(age: int) -> None:
    bars = [bar_at(second) for second in range(START, START + 310)]
    table = RollingBars.from_bars(bars)

    [window] = table.windows(table.end - age * 1000, (300,))

    assert is_sum_of(window, bars[:-age])


def test_a_table_begun_anew_says_the_same_to_the_last_digit() -> None:
    bars = [bar_at(second) for second in range(START, START + 777)]
    grown, begun = (
        RollingBars.from_bars(bars, spans=SPANS),
        RollingBars.from_bars(bars[-301:], spans=SPANS),
    )

    assert grown.windows(grown.end, SPANS) == begun.windows(begun.end, SPANS)


def said_by(table: RollingBars) -> list[object]:
    return [
        (*window._replace(start=None, end=None), [getattr(window.start, it) for it in START_FIELDS])
        if window.start
        else window._replace(end=None)
        for window in table.windows(table.end, SPANS)
    ]


@pytest.mark.parametrize("silence", [1, 7, 33, 140, 305])
def test_what_is_packed_away_comes_back_each_second_to_the_last_digit(silence: int) -> None:
    packing, plain = RollingBars(spans=SPANS), RollingBars()
    seconds = [*range(START + 3, START + 340), *range(START + 340 + silence, START + 700)]

    for second in seconds:
        for table in (packing, plain):
            table.add(bar_at(second))

        assert said_by(packing) == said_by(plain)


@pytest.mark.parametrize("interval", [1, 11, 30])
def test_packed_seconds_are_squeezed_however_seldom_a_table_is_asked(interval: int) -> None:
    table = RollingBars(spans=SPANS)

    for second in range(START, START + 2000):
        table.add(bar_at(second))
        if second % interval == 0:
            table.windows(table.end, SPANS)

    assert len(table._uncompressed_blocks) <= interval // 10 + 1  # noqa: SLF001 - nothing else shows it


def test_a_table_that_packs_refuses_what_it_can_not_tell() -> None:
    table = RollingBars.from_bars(
        [bar_at(second) for second in range(START, START + 400)], spans=SPANS
    )

    with pytest.raises(ValueError, match="a table that packs has those to"):
        table.windows(table.end - 1000, SPANS)
    with pytest.raises(ValueError, match="column ofi: a table that packs has none"):
        table.column("ofi", table.end, 100)


@pytest.mark.parametrize("spans", [(50,), (7, 31), (20, 45, 200), (61,)])
def test_a_table_packs_for_any_windows(spans: tuple[int, ...]) -> None:
    table, bars = RollingBars(max(spans), spans=spans), []

    for second in range(START, START + 250):
        bars.append(bar_at(second))
        table.add(bars[-1])

        assert all(is_sum_of(window, bars) for window in table.windows(table.end, spans))


def test_after_a_silence_longer_than_the_table_nothing_older_counts() -> None:
    table = RollingBars.from_bars(
        [bar_at(second) for second in range(START, START + 400)], spans=SPANS
    )
    after = START + 400 + 5_003
    bars = [bar_at(second) for second in range(after, after + 5)]
    silent = [Bar((after - age) * 1000) for age in range(300, 0, -1)]

    for bar in bars:
        table.add(bar)

    assert all(is_sum_of(window, silent + bars) for window in table.windows(table.end, SPANS))


def test_an_empty_table_has_windows_of_nothing() -> None:
    [window] = RollingBars().windows(START * 1000, (60,))

    assert window.sums.covered_ms == 0
    assert (window.min_spread, window.max_spread) == (0.0, 0.0)
    assert window.start is None
