"""Each event and number that newly meets a condition is found once, whatever happens between."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.errors import BadMoment
from app.storage.published import EventRecord
from app.waiting.condition import parse_condition
from app.waiting.looks import TickerLook
from app.waiting.since import pack_cursors, unpack_cursors
from app.waiting.watch import TickerCursor, Watch
from tests.waiting.events import START, at, event

RARE = "min_return_minutes 10"


def watching(condition: str = RARE, **cursors: TickerCursor) -> Watch:
    return Watch(parse_condition(condition), ["SPY"], cursors)


def found(watch: Watch, look: TickerLook, most: int = 10) -> list[str]:
    return [one.id for one in watch.take(look, START, most).events]


def named(number: int, noticed: int, **changed: object) -> EventRecord:
    """Return an event of a number, noticed so many seconds after `START`."""
    stamp = START + noticed * 1000
    fields = {"id": f"SPY~aaaaaaa{number}", "noticed_at": stamp, "updated_at": stamp}
    return event(**fields | {"return_minutes": 20.0} | changed)


def test_what_was_noticed_before_the_first_look_is_no_news() -> None:
    watch = watching()

    assert found(watch, at(0, named(2, -5))) == []
    assert found(watch, at(1, named(2, -5), named(3, 1))) == ["SPY~aaaaaaa3"]
    assert found(watch, at(2, named(2, -5), named(3, 1))) == []


def test_an_event_that_grew_into_the_condition_is_news_once() -> None:
    watch = watching()
    small = named(2, -5, return_minutes=4.0)

    assert found(watch, at(0, small)) == []
    grown = named(2, -5, return_minutes=11.0, updated_at=START + 3000)
    assert found(watch, at(3, grown)) == ["SPY~aaaaaaa2"]
    more = named(2, -5, return_minutes=15.0, updated_at=START + 5000)
    assert found(watch, at(5, more)) == []
    closed = named(2, -5, return_minutes=15.0, updated_at=START + 9000, status="closed")
    assert found(watch, at(9, closed)) == []
    assert found(watch, at(10, closed)) == []


def test_an_event_that_opened_and_closed_between_two_looks_is_news() -> None:
    watch = watching()
    found(watch, at(0))

    assert found(watch, at(30, named(2, 4, status="closed", updated_at=START + 12_000))) == [
        "SPY~aaaaaaa2"
    ]


def test_a_moment_as_since_tells_what_was_noticed_after_it() -> None:
    watch = watching(SPY=TickerCursor(START))
    older = named(2, 0, updated_at=START + 4000)

    assert found(watch, at(5, older, named(3, 1), named(4, 5))) == ["SPY~aaaaaaa3", "SPY~aaaaaaa4"]


def test_a_moment_after_the_newest_tick_loses_nothing() -> None:
    watch = watching(SPY=TickerCursor(START + 5000))

    assert found(watch, at(3)) == []
    assert found(watch, at(5, named(2, 5))) == ["SPY~aaaaaaa2"]


def test_what_is_too_much_for_one_answer_comes_with_the_next() -> None:
    watch = watching()
    found(watch, at(0))
    look = at(2, *(named(number, 2) for number in (2, 3, 4, 5)))

    assert [found(watch, look, 3), found(watch, look, 3), found(watch, look, 3)] == [
        ["SPY~aaaaaaa2", "SPY~aaaaaaa3", "SPY~aaaaaaa4"],
        ["SPY~aaaaaaa5"],
        [],
    ]


def test_a_number_is_news_when_it_comes_to_meet_the_condition() -> None:
    watch = watching("ofi rank >= 0.95")

    numbers = [
        [round(one.rank, 2) for one in watch.take(at(i, ranks={"ofi": rank}), START).numbers]
        for i, rank in enumerate((0.5, 0.96, 0.99, 0.5, 0.97))
    ]

    assert numbers == [[], [0.96], [], [], [0.97]]
    assert [one.rank for one in watching("ofi p95").take(at(0, ranks={"ofi": 0.98}), 0).numbers]
    assert not watching("ofi p95").take(at(0, ranks={}), 0).numbers


def test_an_as_of_that_went_back_is_followed() -> None:
    watch = watching()
    found(watch, at(100))

    assert found(watch, at(2)) == []
    assert found(watch, at(3, named(2, 3))) == ["SPY~aaaaaaa2"]


def test_another_condition_goes_on_from_the_moment() -> None:
    first = watching("iceberg")
    found(first, at(3, named(2, 1)))
    packed = pack_cursors(first.condition, first.cursors)

    sweeps, icebergs = parse_condition("sweep"), parse_condition("iceberg")

    assert unpack_cursors(packed, sweeps, ["SPY", "QQQ"]) == {
        "SPY": TickerCursor(START + 3000),
        "QQQ": TickerCursor(START + 3000),
    }
    assert unpack_cursors(packed, icebergs, ["SPY"]) == first.cursors
    with pytest.raises(BadMoment):
        unpack_cursors(b"nonsense", icebergs, ["SPY"])


class _Life:
    """An event as a tape makes it: noticed, growing, closed; and whether it ever meets `RARE`."""

    def __init__(self, number: int, noticed: int, growths: Sequence[int], closes: int) -> None:
        self.number, self.noticed, self.growths = number, noticed, sorted(growths)
        self.closes = max([closes, noticed, *self.growths])

    def as_of(self, second: int) -> EventRecord | None:
        if second < self.noticed:
            return None
        grown = [it for it in self.growths if self.noticed <= it <= second]
        updated = self.closes if second >= self.closes else max([self.noticed, *grown])
        return named(
            self.number,
            self.noticed,
            return_minutes=4.0 + 4.0 * len(grown),
            updated_at=START + updated * 1000,
            status="closed" if second >= self.closes else "open",
        )

    def meets_at(self) -> int | None:
        """Return the second at which it comes to meet the condition."""
        counted = [it for it in self.growths if it >= self.noticed]
        return counted[1] if len(counted) > 1 else None


_seconds = st.integers(1, 40)
_lives = st.lists(
    st.tuples(_seconds, st.lists(_seconds, max_size=4, unique=True), _seconds),
    min_size=1,
    max_size=8,
)


@given(
    _lives,
    st.sets(_seconds, min_size=1),
    st.sets(_seconds),
    st.integers(1, 3),
)
def test_none_is_lost_or_doubled_over_restarts(
    drawn: list[tuple[int, list[int], int]], looked: set[int], restarts: set[int], most: int
) -> None:
    lives = [_Life(number, *life) for number, life in enumerate(drawn)]
    watch = watching()
    watch.take(at(0), START)
    told: list[str] = []
    for second in sorted(looked) + [41] * 10:
        if second in restarts:
            packed = pack_cursors(watch.condition, watch.cursors)
            cursors = unpack_cursors(packed, watch.condition, ["SPY"])
            watch = Watch(watch.condition, ["SPY"], cursors)
        events = [one for life in lives if (one := life.as_of(second)) is not None]
        told += found(watch, at(second, *events), most)

    expected = [f"SPY~aaaaaaa{it.number}" for it in lives if it.meets_at() is not None]
    assert sorted(told) == sorted(expected)
