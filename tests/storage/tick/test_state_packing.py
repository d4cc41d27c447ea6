"""Every field of every object that the fold remembers comes back as it was packed."""

from dataclasses import MISSING, Field, fields
from typing import Any

import pytest

from app.analysis.baselines import Baselines
from app.analysis.patterns.momentum import Excursion
from app.analysis.patterns.pulling import DisplayedSize
from app.analysis.patterns.spread_regimes import Bounds
from app.analysis.patterns.sweeps import Order
from app.analysis.price_units import DEFAULT_DIGITS
from app.analysis.standing_quote import TradeSign
from app.storage.tick import state_packing

PLAIN: dict[object, object] = {int: 7, float: 2.5, str: "x"}


def unusual(field: Field[Any]) -> object:
    """Return a value that is not the field's default; the default of what holds other objects."""
    if field.type is bool:
        return field.default is MISSING or not field.default
    if field.type in PLAIN:
        return PLAIN[field.type]
    return field.default if field.default_factory is MISSING else field.default_factory()


def made_of_plain() -> list[type]:
    return [
        kind
        for kind in state_packing._KINDS  # noqa: SLF001 - the list of what is remembered
        if kind is not TradeSign  # of the moment: made of a print, and never packed
        and MISSING not in [unusual(field) for field in fields(kind) if field.init]
    ]


def test_what_constructors_write_out_is_among_those_that_are_looked_at() -> None:
    assert {Order, DisplayedSize, Bounds, Excursion} <= set(made_of_plain())


@pytest.mark.parametrize("kind", made_of_plain(), ids=lambda kind: kind.__name__)
def test_each_field_comes_back(kind: type) -> None:
    values = {field.name: unusual(field) for field in fields(kind) if field.init}

    back = state_packing.unpack(state_packing.pack(kind(*values.values())))

    if isinstance(back, Baselines):
        back.set_digits(DEFAULT_DIGITS)  # as the codec does: what follows from the unit is not kept
    assert {name: getattr(back, name) for name in values} == values
