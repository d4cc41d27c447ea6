"""Which price levels an answer shows."""

from hypothesis import given
from hypothesis import strategies as st

from app.answers.level_selection import near_levels
from app.storage.published import LevelRecord

END = 1_340_285_400_000.0
MID = 585.5


def level(price: float, unseen: float, side: str = "bid") -> LevelRecord:
    return LevelRecord(
        price=price,
        side=side,  # type: ignore[arg-type]
        appearances=100,
        size=1e6,
        first_seen=END - 900_000,
        last_seen=END - 1000 * unseen,
        held=1,
        broke=1,
    )


def prices(levels: list[LevelRecord]) -> list[float]:
    return [found.price for found in near_levels(levels, MID, END)]


def test_newly_tested_levels_come_first_then_the_nearest_to_the_mid() -> None:
    levels = [level(585.4, 200), level(585.0, 20), level(585.2, 100)]

    assert prices(levels) == [585.0, 585.4]


def test_a_level_far_off_and_long_unseen_is_not_shown() -> None:
    far = 585.5 * (1 - 35e-4)

    assert prices([level(far, 540), level(585.3, 5)]) == [585.3]
    assert prices([level(far, 540)]) == []


def test_an_older_level_between_recent_prices_is_shown() -> None:
    levels = [level(585.0, 200), level(585.4, 400), level(585.45, 5, "ask")]

    assert prices(levels) == [585.4, 585.0, 585.45]


def test_what_the_market_has_left_behind_is_shown_for_a_minute_only() -> None:
    bids = [level(586.0, 59), level(586.2, 61), level(585.2, 61)]
    asks = [level(585.1, 59, "ask"), level(585.0, 61, "ask"), level(586.5, 61, "ask")]

    assert prices([*bids, *asks]) == [586.0, 585.2, 585.1, 586.5]


@given(
    st.lists(
        st.tuples(st.integers(58_000, 59_000), st.floats(0, 899), st.sampled_from(["bid", "ask"])),
        max_size=30,
    )
)
def test_at_most_two_a_side_bids_first_none_unseen_for_ten_minutes(
    drawn: list[tuple[int, float, str]],
) -> None:
    levels = [level(ticks / 100, unseen, side) for ticks, unseen, side in drawn]

    shown = near_levels(levels, MID, END)

    sides = [found.side for found in shown]
    assert sides == sorted(sides, reverse=True)
    assert max((sides.count(side) for side in sides), default=0) <= 2
    assert all(END - found.last_seen <= 600_000 for found in shown)
