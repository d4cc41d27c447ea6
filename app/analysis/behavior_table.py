"""Names of the behaviours, in the order shown; `behaviors.py` computes their states."""

from typing import Final

BEHAVIORS: Final = (
    "bid_stacking",
    "ask_stacking",
    "bid_pulling",
    "ask_pulling",
    "spread_tightening",
    "momentum_building",
    "aggressive_buying",
    "aggressive_selling",
    "quote_pressure",
)

DIRECTION_OF: Final = {
    "momentum_building": "momentum_direction",
    "quote_pressure": "quote_pressure_direction",
}
"""Where `up` or `down` stands while a behaviour with a direction is on."""
