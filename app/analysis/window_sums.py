"""Hold the sums of a window's bars as fields, which compiled code reads without a lookup."""

from dataclasses import dataclass


@dataclass(slots=True, init=False)
class BarSums:
    """Sums of bars' additive fields, and then of their count fields, in the order of `Bar`."""

    covered_ms: float
    bid_size_ms: float
    ask_size_ms: float
    imbalance_ms: float
    imbalance_time_ms: float
    spread_ms: float
    spread_bps_ms: float
    spread_time_ms: float
    ofi: float
    log_ofi: float
    size_turnover: float
    squared_return: float
    buy_volume: float
    sell_volume: float
    unsigned_volume: float
    notional: float
    effective_spread_bps_volume: float
    effective_spread_volume: float
    inside_volume: float
    quote_count: float
    compared: float
    scored: float
    bid_lifts: float
    bid_drops: float
    ask_lifts: float
    ask_drops: float
    large_bids: float
    large_asks: float
    returns: float
    trade_count: float

    def __init__(self, values: list[float]) -> None:
        """Take the sums in the order of the fields."""
        self.covered_ms = values[0]
        self.bid_size_ms = values[1]
        self.ask_size_ms = values[2]
        self.imbalance_ms = values[3]
        self.imbalance_time_ms = values[4]
        self.spread_ms = values[5]
        self.spread_bps_ms = values[6]
        self.spread_time_ms = values[7]
        self.ofi = values[8]
        self.log_ofi = values[9]
        self.size_turnover = values[10]
        self.squared_return = values[11]
        self.buy_volume = values[12]
        self.sell_volume = values[13]
        self.unsigned_volume = values[14]
        self.notional = values[15]
        self.effective_spread_bps_volume = values[16]
        self.effective_spread_volume = values[17]
        self.inside_volume = values[18]
        self.quote_count = values[19]
        self.compared = values[20]
        self.scored = values[21]
        self.bid_lifts = values[22]
        self.bid_drops = values[23]
        self.ask_lifts = values[24]
        self.ask_drops = values[25]
        self.large_bids = values[26]
        self.large_asks = values[27]
        self.returns = values[28]
        self.trade_count = values[29]
