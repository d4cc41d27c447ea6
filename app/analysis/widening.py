"""Bring records to their ticker's price unit, and make the unit finer where they ask for it.

A ticker begins with a unit of 1e-8. A price with more digits makes it finer, down to 1e-16, as
long as the greatest price in the ticker's memory stays small enough for exact floats: so one absurd
print can't take the room for ordinary prices, and prices can still grow some 500 times. What the
unit can't be made to hold is rejected. The unit changes no result: docs/decisions/0011.

Where the memory holds an absurd price, and so keeps out all real ones, the ticker falls asleep like
one without records, and the next of them begins its unit anew.
"""

from typing import Final

from app.analysis.baselines import Baselines, TickSize
from app.analysis.levels import SideLevels
from app.analysis.price_fields import PriceWalk
from app.analysis.price_units import (
    DEFAULT_DIGITS,
    MAX_UNITS,
    UNITS_PER_ONE,
    digits_needed,
    in_other_unit,
)
from app.analysis.records import Quote, Record, Trade
from app.analysis.rolling_bars import RollingBars
from app.analysis.session import Session
from app.analysis.standing_quote import StandingQuote
from app.analysis.state import State

MAX_UNITS_AT_CHANGE: Final = 2**54
"""The sum of two prices that are exact as floats."""
MIN_REFUSED: Final = 100
"""So many refused records in a row end the unit of a sleeping ticker."""


def record_in_unit(record: Record, digits: int, other: int) -> Record | None:
    """Return a record, given in 10^-digits, in units of `other` digits; None if they can't hold it.

    A record that is not in the ticker's unit is rare: its prices are copied, not changed in place.
    """
    if digits_of_record(record, digits) > other:
        return None
    if isinstance(record, Quote):
        bid = in_other_unit(record.bid_price, digits, other)
        ask = in_other_unit(record.ask_price, digits, other)
        if max(bid, ask) > MAX_UNITS:
            return None
        return Quote(record.stamp, record.seq, bid, record.bid_size, ask, record.ask_size)
    price = in_other_unit(record.price, digits, other)
    if price > MAX_UNITS:
        return None
    return Trade(record.stamp, record.seq, price, record.size, record.aggressor)


def digits_of_record(record: Record, digits: int) -> int:
    """Return the fewest digits of a unit that holds a record's prices, given in 10^-digits."""
    if isinstance(record, Quote):
        bid = digits_needed(record.bid_price, digits)
        return max(bid, digits_needed(record.ask_price, digits))
    return digits_needed(record.price, digits)


def asks_too_much(record: Record, digits: int, needed: int) -> bool:
    """Return whether a record's own prices, given in 10^-digits, are too far apart for a unit."""
    alone = record_in_unit(record, digits, needed)
    if alone is None:
        return True
    return (
        needed > DEFAULT_DIGITS
        and isinstance(alone, Quote)
        and max(alone.bid_price, alone.ask_price) > MAX_UNITS_AT_CHANGE // 2
    )


def can_be_finer(state: State, digits: int) -> bool:
    """Return whether all prices in a ticker's memory leave room for a unit of `digits`."""
    factor = UNITS_PER_ONE[digits - state.digits]
    builder = state.bar_builder
    if max(builder.last_bid_price, builder.last_ask_price) * factor > MAX_UNITS_AT_CHANGE:
        return False  # nearly always told without the walk, which takes milliseconds
    walk = PriceWalk(1)
    walk.visit(state)
    return walk.greatest * factor <= MAX_UNITS_AT_CHANGE


def use_finer_unit(state: State, table: RollingBars, digits: int) -> None:
    """Make the price unit of a ticker's memory and table finer."""
    stored = [side.stored_prices() for side in state.levels]
    walk = PriceWalk(UNITS_PER_ONE[digits - state.digits])
    walk.visit(state)
    table.use_finer_unit(digits, walk)
    _drop_what_is_too_great(state, table)
    for side, prices in zip(state.levels, stored, strict=True):
        side.note_new_unit(prices)
    state.context.events.use_finer_unit(digits)
    state.context.baselines.update_price_thresholds()
    state.digits = digits
    set_digits(state)


def begin_unit_anew(state: State) -> None:
    """Forget all prices of a sleeping ticker, which has neither visits nor open events."""
    context, builder = state.context, state.bar_builder
    context.standing_quote, builder.standing_quote = StandingQuote(), StandingQuote()
    builder.last_bid_price = builder.last_ask_price = builder.last_mid2 = 0
    context.tick_size = TickSize()
    baselines, fresh = context.baselines, Baselines()
    baselines.spread, baselines.recent_spread = fresh.spread, fresh.recent_spread
    baselines.jump, baselines.impact = fresh.jump, fresh.impact
    baselines.move_30s = fresh.move_30s
    baselines.update_thresholds()
    for place, side in enumerate(state.levels):
        state.levels[place] = SideLevels(side.side)
        state.levels[place].dropped_prices = side.stored_prices()
    state.first_quote = None
    state.session = Session(print_sizes=state.session.print_sizes)
    state.checkpoints = []
    state.digits, state.refused_in_a_row = DEFAULT_DIGITS, 0
    set_digits(state)


def _drop_what_is_too_great(state: State, table: RollingBars) -> None:
    """Drop prices that the ticker left long ago, and that the unit can't hold."""
    first = state.first_quote
    if first is not None and max(first.bid_price, first.ask_price) > MAX_UNITS:
        state.first_quote = table.first_quote = None
    tick = state.context.tick_size
    if tick.size and tick.first > MAX_UNITS:
        # Only its remainder counts.
        tick.first = tick.first % tick.size or tick.size
    if max([tick.first, tick.divisor, *tick.seen]) > MAX_UNITS:
        state.context.tick_size = TickSize()


def set_digits(state: State) -> None:
    """Tell all parts of a memory its price unit."""
    digits = state.digits
    state.context.digits = state.context.events.digits = state.bar_builder.digits = digits
    state.context.baselines.set_digits(digits)
    for checkpoint in state.checkpoints:
        checkpoint.builder.digits = digits
    for side in state.levels:
        side.digits = digits
