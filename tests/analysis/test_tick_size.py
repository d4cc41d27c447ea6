"""The tick size: the greatest step of which all quoted prices are multiples apart."""

from app.analysis.baselines import TickSize


def test_it_is_known_once_twenty_prices_were_quoted() -> None:
    tick = TickSize()

    for price in range(1000, 1000 + 19 * 6, 6):
        tick.add_price(price)
        tick.add_price(price)
    before = tick.size
    tick.add_price(1600)

    assert (before, tick.size) == (0, 6)


def test_a_price_off_the_grid_makes_it_smaller_at_once() -> None:
    tick = TickSize()
    for price in range(1000, 1600, 6):
        tick.add_price(price)

    tick.add_price(1003)
    after_one = tick.size
    tick.add_price(1004)

    assert (after_one, tick.size) == (3, 1)
