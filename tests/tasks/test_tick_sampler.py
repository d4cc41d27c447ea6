"""The sample of ticks that monitoring tools see: bounded each second, all tickers in turn."""

from tasks.tick_sampler import TickSampler


class Clock:
    """A clock that the test sets, in milliseconds."""

    now_ms = 0.0

    def __call__(self) -> float:
        """Return the time."""
        return self.now_ms


def seconds_of(sampler: TickSampler, clock: Clock, tickers: list[str], seconds: int) -> list[str]:
    """Return the tickers chosen in each second, joined."""
    chosen = []
    for second in range(1, seconds + 1):
        clock.now_ms = second * 1000.0 + 200
        chosen.append("".join(it for it in tickers if sampler.takes(it, second * 1000)))
    return chosen


def test_all_tickers_have_their_turn() -> None:
    clock = Clock()

    assert seconds_of(TickSampler(2, clock), clock, [*"ABCDE"], 6) == [
        "AB", "CD", "E", "AB", "CD", "E",
    ]  # fmt: skip


def test_fewer_tickers_than_allowed_are_chosen_each_second() -> None:
    clock = Clock()

    assert seconds_of(TickSampler(20, clock), clock, [*"ABC"], 3) == ["ABC", "ABC", "ABC"]


def test_none_are_chosen_where_none_are_allowed() -> None:
    clock = Clock()

    assert seconds_of(TickSampler(0, clock), clock, [*"ABC"], 2) == ["", ""]


def test_asked_twice_about_a_tick_it_answers_the_same() -> None:
    clock = Clock()
    sampler = TickSampler(1, clock)

    assert [sampler.takes("A", 1000), sampler.takes("A", 1000)] == [True, True]
    assert [sampler.takes("B", 1000), sampler.takes("B", 1000)] == [False, False]


def test_a_second_that_is_late_has_no_more_than_its_own_number() -> None:
    clock = Clock()
    sampler = TickSampler(2, clock)
    clock.now_ms = 5000.0

    chosen = [sampler.takes(ticker, as_of) for as_of in (3000, 4000) for ticker in "ABC"]

    assert sum(chosen) == 2
