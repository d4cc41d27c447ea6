"""That ticks stopped, and that they came again, is noticed once each, whatever their age."""

from app.waiting.looks import TickerLook
from app.waiting.silences import Silences, TickChange
from tests.waiting.events import at

SILENT_SECONDS = 5.0


def silences(*tickers: str) -> Silences:
    return Silences(tickers or ("SPY",), SILENT_SECONDS, 0.0)


def test_ticks_that_come_are_no_silence() -> None:
    found = silences()

    for second in range(60):
        assert found.note([at(second)], second) == []
        assert found.overdue(second) == set()


def test_ticks_that_stopped_are_told_once_and_once_again_when_they_come() -> None:
    found = silences()
    found.note([at(0)], 0.0)

    assert found.note([at(0)], 4.9) == []
    assert found.note([at(0)], 5.0) == [TickChange("SPY", has_stopped=True, seconds=5.0)]
    assert found.note([at(0)], 60.0) == []
    assert found.note([at(1)], 61.0) == [TickChange("SPY", has_stopped=False, seconds=61.0)]
    assert found.note([at(1)], 65.9) == []
    assert found.note([at(1)], 66.0) == [TickChange("SPY", has_stopped=True, seconds=5.0)]


def test_a_ticker_without_any_tick_is_silent() -> None:
    found = silences()

    assert found.note([TickerLook("SPY")], 1.0) == []
    assert found.note([TickerLook("SPY")], 5.0) == [
        TickChange("SPY", has_stopped=True, seconds=5.0)
    ]


def test_a_tick_that_goes_back_is_a_tick() -> None:
    found = silences()
    found.note([at(120)], 0.0)

    assert found.note([at(4)], 4.0) == []
    assert found.note([at(9)], 8.0) == []


def test_only_those_whose_silence_is_untold_have_to_be_looked_at() -> None:
    found = silences("SPY", "QQQ")
    found.note([at(0), at(0, ticker="QQQ")], 0.0)
    found.note([at(5)], 5.0)

    assert found.overdue(5.0) == {"QQQ"}
    found.note([at(0, ticker="QQQ")], 5.0)
    assert found.overdue(6.0) == set()


def test_time_in_which_redis_could_not_be_asked_is_no_silence() -> None:
    found = silences("SPY", "QQQ")
    found.note([at(0), at(0, ticker="QQQ")], 0.0)
    found.note([at(0), at(5, ticker="QQQ")], 5.0)
    found.begin_again(60.0)

    assert found.note([at(0), at(5, ticker="QQQ")], 61.0) == []
    assert found.note([at(62), at(62, ticker="QQQ")], 62.0) == [
        TickChange("SPY", has_stopped=False, seconds=62.0)
    ]
