"""The small pictures beside the board hold the mids that stood, also of before anybody looked."""

from collections.abc import Iterator

import pytest

from app.analysis.records import PRICE_UNITS, Quote
from app.answers.board import BoardReader
from app.answers.sparks import FILLED_AT_ONCE, POINTS, STEP_MS, SparkKeeper
from app.core.settings import Settings
from app.storage.redis_client import connect
from tests.simulated_ticks import SimulatedTicks


@pytest.fixture
def boards(settings: Settings) -> Iterator[BoardReader]:
    """Give a reader of boards."""
    made = BoardReader.from_settings(settings)
    yield made
    made.close()


@pytest.fixture
def sparks(settings: Settings) -> SparkKeeper:
    """Give a keeper that has seen no board."""
    return SparkKeeper(connect(settings), settings)


def mid_at(simulated: SimulatedTicks, ticker: str, at_ms: int) -> float | None:
    """Return the mid that stood at an instant, from the records themselves."""
    quotes = [it for it in simulated.records[ticker] if isinstance(it, Quote)]
    standing = [quote for quote in quotes if quote.stamp <= at_ms]
    if not standing or not standing[-1].is_valid:
        return None
    return (standing[-1].bid_price + standing[-1].ask_price) / 2 / PRICE_UNITS


def run_to_step(simulated: SimulatedTicks) -> int:
    """Run until a step ends; return its end."""
    while simulated.run(1) % STEP_MS:
        pass
    return simulated.as_of


def test_who_begins_to_look_sees_what_was_before(
    simulated: SimulatedTicks, boards: BoardReader, sparks: SparkKeeper
) -> None:
    simulated.begin("SPY", "AAPL")
    simulated.run(60)
    end = run_to_step(simulated)

    sparks.take(boards.read())

    assert sparks.end == end
    for ticker in ("SPY", "AAPL"):
        mids = sparks.mids(ticker)
        assert len(mids) == POINTS
        for place, mid in enumerate(mids):
            stood = mid_at(simulated, ticker, end - (POINTS - 1 - place) * STEP_MS)
            assert mid == (None if stood is None else pytest.approx(stood))
        assert mids[0] is None, "before the first quote"


def test_each_board_of_a_new_step_adds_a_point(
    simulated: SimulatedTicks, boards: BoardReader, sparks: SparkKeeper
) -> None:
    simulated.begin("SPY")
    simulated.run(20)
    run_to_step(simulated)
    sparks.take(boards.read())
    before = sparks.mids("SPY")

    end = run_to_step(simulated)
    sparks.take(boards.read())
    sparks.take(boards.read())

    assert sparks.end == end
    assert sparks.mids("SPY")[:-1] == before[1:]
    assert sparks.mids("SPY")[-1] == pytest.approx(mid_at(simulated, "SPY", end))


def test_what_passed_while_nobody_looked_is_no_hole(
    simulated: SimulatedTicks, boards: BoardReader, sparks: SparkKeeper
) -> None:
    simulated.begin("SPY")
    simulated.run(20)
    sparks.take(boards.read())

    simulated.run(40)
    end = run_to_step(simulated)
    sparks.take(boards.read())

    for steps in range(8):
        stood = mid_at(simulated, "SPY", end - steps * STEP_MS)
        assert sparks.mids("SPY")[-1 - steps] == pytest.approx(stood)


def test_a_few_tickers_are_read_back_at_once_and_all_soon(
    simulated: SimulatedTicks, boards: BoardReader, sparks: SparkKeeper
) -> None:
    names = [f"T{number:02}" for number in range(FILLED_AT_ONCE + 3)]
    simulated.begin(*names)
    simulated.run(3)
    board = boards.read()

    sparks.take(board)
    assert len(sparks.all()) == FILLED_AT_ONCE
    sparks.take(board)

    assert set(sparks.all()) == set(names)


def test_a_ticker_that_left_the_board_is_forgotten(
    simulated: SimulatedTicks, boards: BoardReader, sparks: SparkKeeper
) -> None:
    simulated.begin("SPY", "AAPL")
    simulated.run(6)
    sparks.take(boards.read())

    simulated.forget("AAPL")
    run_to_step(simulated)
    sparks.take(boards.read())

    assert set(sparks.all()) == {"SPY"}


def test_where_the_ticks_of_a_ticker_stopped_its_mid_is_not_known(
    simulated: SimulatedTicks, boards: BoardReader, sparks: SparkKeeper
) -> None:
    simulated.begin("SPY", "AAPL")
    simulated.run(20)
    run_to_step(simulated)
    sparks.take(boards.read())
    simulated.stop("AAPL")
    simulated.run(10)

    board = boards.read()
    sparks.take(board)

    [stopped] = [row for row in board.tickers if row.ticker == "AAPL"]
    assert "stale" in stopped.flags
    assert sparks.mids("AAPL")[-1] is None
    assert sparks.mids("SPY")[-1] is not None
