"""The page about reading the files: its code is run on files of the history."""

from pathlib import Path
from typing import Any

import pytest

from tests.contract.documents import blocks, text_of
from tests.kept_files import EngineRun, keep
from tests.strategies import Flavour

RUN = EngineRun(
    Flavour(
        seed=5,
        records=4000,
        trade_share=0.3,
        given_share=1.0,
        odd_share=0.0,
        silence_share=0.0,
        pace=1.0,
        restlessness=0.5,
    ).stream(),
    "SPY",
)
NAMES = ("pandas", "polars", "duckdb")


def code_of(library: str) -> str:
    [found] = [
        block
        for block in blocks(text_of("docs/reading-history.md"), "python")
        if f"import {library}" in block
    ]
    return found


@pytest.fixture
def run(tmp_path: Path) -> Any:
    """Give a way to run the page's code for a library; what it made is returned by name."""
    days = keep(tmp_path, RUN)

    def run_code(library: str) -> dict[str, Any]:
        pytest.importorskip(library, reason=f"{library} has no wheel for this machine")
        made: dict[str, Any] = {"folder": tmp_path, "day": days[0].isoformat()}
        exec(compile(code_of(library), library, "exec"), made)  # noqa: S102 - our own page's
        return made

    return run_code


def test_the_page_has_code_for_each_library() -> None:
    assert all(code_of(library) for library in NAMES)


def test_pandas_reads_a_day_of_a_ticker(run: Any) -> None:
    made = run("pandas")

    first_day = [bar for bar in RUN.bars if bar.end <= made["seconds"]["end"].max().value // 10**6]
    assert made["by_minute"]["quote_count"].sum() == sum(bar.quote_count for bar in first_day)
    volume = sum(bar.buy_volume + bar.sell_volume + bar.unsigned_volume for bar in first_day)
    assert made["by_minute"]["volume"].sum() == pytest.approx(volume)
    assert made["seconds"]["mid"].iloc[-1] == first_day[-1].mid2 / 2 / 1e8


def test_polars_reads_all_days_of_a_ticker(run: Any) -> None:
    made = run("polars")

    table = made["half_hours"]
    assert table["quote_count"].sum() == sum(bar.quote_count for bar in RUN.bars)
    assert table["spread_bps"].min() > 0
    assert table["date"].n_unique() == 1
    assert len(table) >= 2


def test_duckdb_reads_the_events_of_all_tickers(run: Any) -> None:
    rows = run("duckdb")["events"]

    counted = {(kind, side): count for kind, side, count, *_ in rows}
    for event in RUN.events:
        wanted = sum((it.type, it.side) == (event.type, event.side) for it in RUN.events)
        assert counted[event.type, event.side] == wanted
