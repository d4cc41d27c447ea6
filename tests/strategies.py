"""Hypothesis strategies of record streams, with everything that real feeds do to them."""

import random
from dataclasses import dataclass

from hypothesis import strategies as st

from app.analysis.records import Quote, Trade
from tests.builders import quote, stream, trade

TICK = 0.01
GAPS = (0.0, 0.0, 0.0002, 0.001, 0.003, 0.005, 0.05, 0.1, 0.25, 0.5, 0.5, 1.0, 1.0, 2.0, 3.5)
SILENCES = (10.0, 60.0, 130.0, 299.0, 300.0, 301.0, 700.0, 1000.0)
SIZES = (1, 10, 50, 100, 100, 100, 200, 300, 500, 1000)


@dataclass(frozen=True)
class Flavour:
    """What a feed is like."""

    seed: int
    records: int
    trade_share: float
    given_share: float  # of prints that come with an aggressor
    odd_share: float  # of quotes that are one-sided, locked or crossed
    silence_share: float
    pace: float  # factor on the time between records
    restlessness: float  # share of quotes that move a price

    def stream(self) -> list[Quote | Trade]:
        """Make the feed's records."""
        return _Feed(self).records()


class _Feed:
    """A walk of the best quotes with prints that hit them, drawn from a seed."""

    def __init__(self, flavour: Flavour) -> None:
        self.flavour = flavour
        self.random = random.Random(flavour.seed)  # noqa: S311 - a test's, not a secret's
        self.at = self.random.choice((0.0, 0.25, 0.9995))
        self.bid, self.spread = 1000, 3
        self.sizes = [100.0, 100.0]

    def records(self) -> list[Quote | Trade]:
        made = []
        for _ in range(self.flavour.records):
            self.at += self._gap()
            traded = self.random.random() < self.flavour.trade_share
            made.append(self._trade() if traded else self._quote())
        return stream(*made)

    def _gap(self) -> float:
        if self.random.random() < self.flavour.silence_share:
            return self.random.choice(SILENCES)
        gap = self.random.choice(GAPS)
        return gap * self.flavour.pace if gap >= 0.05 else gap

    def _quote(self) -> Quote:
        draw = self.random
        if draw.random() < self.flavour.restlessness:
            self.bid += draw.choice((-2, -1, -1, 0, 1, 1, 2))
            self.spread = draw.choice((1, 2, 3, 3, 3, 3, 4, 8))
        side = draw.randrange(2)
        self.sizes[side] = float(self._size(self.sizes[side]))
        sizes, spread = list(self.sizes), self.spread
        if draw.random() < self.flavour.odd_share:
            kind = draw.randrange(4)
            spread = {2: 0, 3: -1}.get(kind, spread)
            if kind < 2:
                sizes[kind] = 0.0
        bid, ask = self.bid * TICK, (self.bid + spread) * TICK
        return quote(at=self.at, bid=bid, ask=ask, bid_size=sizes[0], ask_size=sizes[1])

    def _size(self, now: float) -> float:
        draw = self.random.random()
        if draw < 0.02:
            return 1e9
        if draw < 0.3:
            return max(1.0, now // 2)
        return float(self.random.choice(SIZES)) if draw < 0.8 else now

    def _trade(self) -> Trade:
        buys = self.random.random() < 0.5
        ticks = self.bid + self.spread if buys else self.bid
        ticks += self.random.choice((0, 0, 0, 0, 1, -1))
        given = self.random.random() < self.flavour.given_share
        aggressor = ("buy" if buys else "sell") if given else ""
        size = self.random.choice((*SIZES, int(min(self.sizes[buys], 2000)) or 1))
        return trade(at=self.at, price=ticks * TICK, size=size, aggressor=aggressor)


def flavours(records: int) -> st.SearchStrategy[Flavour]:
    """Draw feeds of about so many records, with or without prints and aggressors."""
    return st.builds(
        Flavour,
        seed=st.integers(0, 10**6),
        records=st.just(records),
        trade_share=st.sampled_from((0.0, 0.0, 0.1, 0.4)),
        given_share=st.sampled_from((0.0, 1.0, 0.8)),
        odd_share=st.sampled_from((0.0, 0.05, 0.3)),
        silence_share=st.sampled_from((0.0, 0.002, 0.02)),
        pace=st.sampled_from((0.2, 1.0, 3.0)),
        restlessness=st.sampled_from((0.05, 0.3, 0.8)),
    )


_quotes = st.builds(
    quote,
    at=st.integers(0, 12_000).map(lambda quarter: quarter / 4),
    bid=st.integers(998, 1002).map(lambda ticks: ticks / 100),
    ask=st.integers(1000, 1005).map(lambda ticks: ticks / 100),
    bid_size=st.sampled_from((0, 1, 100, 200, 1000)),
    ask_size=st.sampled_from((0, 1, 100, 200, 1000)),
)
_trades = st.builds(
    trade,
    at=st.integers(0, 12_000).map(lambda quarter: quarter / 4),
    price=st.integers(998, 1005).map(lambda ticks: ticks / 100),
    size=st.sampled_from((1, 50, 100, 1000)),
    aggressor=st.sampled_from(("buy", "sell", "")),
)

few_records = st.lists(st.one_of(_quotes, _quotes, _trades), min_size=1, max_size=40).map(
    lambda records: stream(*records)
)
"""A handful of records that a failure shrinks well, over up to 50 minutes."""
