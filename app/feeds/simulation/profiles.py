"""Profiles of simulated tickers: price, tick, sizes, activity and spread."""

from dataclasses import dataclass
from zlib import crc32

PLANTED_PATTERNS = ("iceberg", "absorption", "wall", "sweep", "momentum_shift")


@dataclass(frozen=True, slots=True)
class Profile:
    """The parameters of a simulated ticker; prices in ticks, sizes in lots."""

    price: float
    tick_units: int = 1_000_000
    """Units of 1e-8 in a tick; 1,000,000 is a cent."""
    lots_per_unit: int = 1
    """Lots in one share or coin; sizes are whole numbers of lots."""
    round_lot: int = 100
    """The most frequent order size."""
    bursts_per_second: float = 0.85
    actions_per_burst: float = 6.0
    depth_ticks: float = 15.0
    """Mean distance of a resting order from the fair price."""
    patience_seconds: float = 20.0
    """Mean lifetime of an order that is not fleeting."""
    fleeting_share: float = 0.12
    """Share of orders that improve the best price for some milliseconds only."""
    market_share: float = 0.16
    """Share of actions that take liquidity."""
    second_price_share: float = 0.04
    """Share of market orders that may execute at two prices; those are labelled sweeps."""
    hidden_share: float = 0.25
    """Share of market orders that execute inside the spread against a hidden order."""
    volatility_ticks: float = 0.8
    """Standard deviation of the fair price's random step at a burst."""
    impact_ticks: float = 0.4
    """How far a market order of a round lot moves the fair price."""
    planted_patterns: tuple[str, ...] = PLANTED_PATTERNS
    """Patterns to plant; none for a null tape."""
    planting_gap_seconds: float = 12.0
    """Mean pause between two planted patterns."""


PROFILES = {
    "SPY": Profile(
        589.0,
        round_lot=100,
        bursts_per_second=2.2,
        actions_per_burst=8.0,
        depth_ticks=0.6,
        patience_seconds=12.0,
        fleeting_share=0.04,
        market_share=0.14,
        hidden_share=0.0,
        volatility_ticks=0.12,
        impact_ticks=0.02,
    ),
    "AAPL": Profile(585.0),
    "NVDA": Profile(
        134.0,
        bursts_per_second=2.0,
        actions_per_burst=8.0,
        depth_ticks=1.2,
        patience_seconds=10.0,
        fleeting_share=0.06,
        hidden_share=0.05,
        volatility_ticks=0.18,
        impact_ticks=0.04,
    ),
    "TSLA": Profile(
        248.0,
        bursts_per_second=1.8,
        actions_per_burst=7.0,
        depth_ticks=5.0,
        patience_seconds=12.0,
        fleeting_share=0.1,
        hidden_share=0.15,
        volatility_ticks=0.4,
        impact_ticks=0.15,
    ),
    "BTC-USD": Profile(
        61800.0,
        tick_units=10_000_000,
        lots_per_unit=1000,
        round_lot=250,
        bursts_per_second=3.0,
        actions_per_burst=8.0,
        depth_ticks=0.7,
        patience_seconds=10.0,
        fleeting_share=0.04,
        hidden_share=0.0,
        volatility_ticks=0.15,
        impact_ticks=0.03,
    ),
}


def profile_of(ticker: str) -> Profile:
    """Return the ticker's profile; an unknown ticker's price and depth come from its name."""
    if ticker in PROFILES:
        return PROFILES[ticker]
    number = crc32(ticker.encode())
    return Profile(20.0 + number % 40_000 / 100.0, depth_ticks=1.0 + number % 13)
