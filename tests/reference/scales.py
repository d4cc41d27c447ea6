"""Scales from the list of all their samples, and what is sampled at each second."""

import math
from array import array
from bisect import bisect_left, bisect_right
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import numpy.typing as npt

from app.analysis.records import Quote
from tests.reference.past import (
    ASK,
    BID,
    Past,
    Print,
    Stretch,
    is_worse,
    order_flow,
    price_of,
    size_of,
)

HALF_LIFE = 1800
RECENT_HALF_LIFE = 150
FIRST_WEIGHT = 256
MOST_VOTES = 255
ZERO_BIN = -(2**15)
FINEST_UNITS = 1e8
"""Prices are in units of 1e-8 here; the bins of prices are those of their multiples of 1e-16."""
JUMP_MS = 5
FLICKER_MS = 100
IMPACT_SAMPLES = 300
DRIFT_SAMPLES = 200
ONE_TICK_SAMPLES = 20
ROUNDING = 1e-9


def weights(numbers: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Weights of what was sampled in seconds of these numbers, the newest weighing 1."""
    weighed: npt.NDArray[np.float64] = np.exp2((numbers - numbers[-1]) / HALF_LIFE)
    return weighed


@dataclass
class HalfLife:
    """What a scale held when the first sample of a half-life came."""

    number: int
    first: int  # place of that sample
    held: dict[int, int]  # weights by bin
    known_from: int  # place of the sample from which on all are counted


@dataclass
class Scale:
    """All samples of one quantity with their times."""

    half_life: int = HALF_LIFE
    unit: float = 1.0
    times: list[float] = field(default_factory=list)
    known: dict[tuple[int, float], float | None] = field(default_factory=dict)
    bins: "array[int]" = field(default_factory=lambda: array("q"))
    weighed: "array[int]" = field(default_factory=lambda: array("q"))
    winners: list[float] = field(default_factory=list)  # each sample's bin's value after it
    votes: dict[int, tuple[float, int]] = field(default_factory=dict)
    half_lives: list[HalfLife] = field(default_factory=lambda: [HalfLife(0, 0, {}, 0)])
    held: dict[int, int] = field(default_factory=dict)
    held_count: int = -1  # of how many samples these are the weights

    def sample(self, at: float, value: float, second: int) -> None:
        """Take one sample in a second, given by its number among those in which samples came."""
        half_life, rest = divmod(second, self.half_life)
        if half_life > self.half_lives[-1].number:
            self._halve(half_life)
        bin_ = self._bin(value)
        self.times.append(at)
        self.bins.append(bin_)
        self.weighed.append(round(FIRST_WEIGHT * 2 ** (rest / self.half_life)))
        self.winners.append(self._winner(bin_, value))

    def before(self, at: float, q: float) -> float | None:
        """Return the q-quantile of the samples taken before an instant."""
        return self.of_first(bisect_left(self.times, at), q)

    def through(self, at: float, q: float) -> float | None:
        """Return the q-quantile of the samples taken at or before an instant."""
        return self.of_first(bisect_right(self.times, at), q)

    def of_first(self, count: int, q: float) -> float | None:
        """Return the q-quantile of the first `count` samples; None while warming."""
        if count - self._half_life_of(count).known_from < round(10 / (1 - q)):
            return None
        if (count, q) not in self.known:
            self.known[count, q] = self._quantile(count, q)
        return self.known[count, q]

    def _half_life_of(self, count: int) -> HalfLife:
        """Return the half-life of the last of the first `count` samples."""
        place = bisect_left(self.half_lives, count, lo=1, key=lambda one: one.first)
        return self.half_lives[place - 1]

    def _held(self, count: int) -> dict[int, int]:
        """Return the weights by bin after the first `count` samples.

        They go on from those of the last question, where that was of fewer samples.
        """
        half_life = self._half_life_of(count)
        if not half_life.first < self.held_count <= count:
            self.held, self.held_count = dict(half_life.held), half_life.first
        for place in range(self.held_count, count):
            bin_ = self.bins[place]
            self.held[bin_] = self.held.get(bin_, 0) + self.weighed[place]
        self.held_count = count
        return self.held

    def _halve(self, half_life: int) -> None:
        """Halve what is held once a half-life that passed, and drop bins without weight."""
        count = len(self.times)
        before = self.half_lives[-1]
        halves = 2 ** (half_life - before.number)
        halved = {bin_: weight // halves for bin_, weight in self._held(count).items()}
        held = {bin_: weight for bin_, weight in halved.items() if weight > 0}
        self.votes = {bin_: votes for bin_, votes in self.votes.items() if bin_ in held}
        known_from = before.known_from if held else count
        self.half_lives.append(HalfLife(half_life, count, held, known_from))

    def _winner(self, bin_: int, value: float) -> float:
        """Let a value vote in its bin, and return the one that the bin then stands for."""
        winner, votes = self.votes.get(bin_, (value, 0))
        if value == winner:
            votes = min(votes + 1, MOST_VOTES)
        elif votes > 1:
            votes -= 1
        else:
            winner = value
        self.votes[bin_] = winner, votes
        return winner

    def _quantile(self, count: int, q: float) -> float:
        held = self._held(count)
        wanted, below = q * sum(held.values()), 0
        for bin_ in sorted(held):
            below += held[bin_]
            if below > wanted:
                break
        newest = count - 1
        while self.bins[newest] != bin_:
            newest -= 1
        return self.winners[newest]

    def _bin(self, value: float) -> int:
        if value == 0:
            return ZERO_BIN
        mantissa, exponent = math.frexp(value * self.unit)
        return 16 * exponent + math.floor(16 * (math.log2(mantissa) + 1))


@dataclass
class Second:
    """What the interval (at - 1 s, at] held."""

    at: int
    stretch: Stretch
    quotes: range
    prints: int
    number: int  # among all awake seconds
    traded: bool  # some trade was seen by its end
    log_flow: float | None = None  # None while the median depth was warming
    removal: tuple[float, float] = (0.0, 0.0)
    flicker_share: float | None = None
    jump: float = 0.0
    spread: float | None = None
    narrowed: float | None = None  # by how much the spreads of 5 s lie under those of 5 s before


NAMES = [
    "spread",
    "flow",
    "taker_flow",
    "quote_flow",
    "removal",
    "quote_rate",
    "trade_rate",
    "flicker",
    "jump",
    "order_size",
    "spread_slope",
]


class Sizes:
    """The scales of displayed sizes, filled second by second."""

    def __init__(self, past: Past) -> None:
        self.named = {name: Scale() for name in ("bid_size", "ask_size", "depth")}
        for number, at in enumerate(past.awake_seconds):
            standing = past.standing(at)
            if standing is not None:
                self._sample(at, standing, number)

    def _sample(self, at: int, standing: Quote, number: int) -> None:
        bid, ask = standing.bid_size, standing.ask_size
        for name, size in (("bid_size", bid), ("ask_size", ask), ("depth", (bid + ask) / 2)):
            if size > 0:
                self.named[name].sample(at, size, number)


class Scales:
    """All scales of one ticker, filled second by second."""

    def __init__(self, past: Past, sizes: Sizes) -> None:
        self.past = past
        self.named = {name: Scale() for name in NAMES} | sizes.named
        self.named["spread"] = Scale(unit=FINEST_UNITS)
        self.named["recent_spread"] = Scale(RECENT_HALF_LIFE, FINEST_UNITS)
        self.named["jump"] = Scale(unit=FINEST_UNITS)
        self.named["move_30s"] = Scale(unit=FINEST_UNITS)
        self.impact: list[tuple[int, float, float]] = []
        self.drift: list[tuple[int, float]] = []
        self.one_tick: list[tuple[int, float]] = []
        self.seconds: list[Second] = []
        for stretch in past.stretches:
            for at in stretch.seconds():
                self._sample_second(stretch, at)

    @cached_property
    def by_time(self) -> dict[int, Second]:
        """Seconds by their end."""
        return {second.at: second for second in self.seconds}

    def _sample_second(self, stretch: Stretch, at: int) -> None:
        past = self.past
        second = Second(
            at,
            stretch,
            past.quotes_in(at - 1000, at),
            len(past.prints_in(at - 1000, at)),
            len(self.seconds),
            past.traded_by(at),
        )
        self.seconds.append(second)
        second.log_flow = self._log_flow(second)
        second.removal = (
            net_removal(past, stretch, BID, at)[0],
            net_removal(past, stretch, ASK, at)[0],
        )
        second.flicker_share = flicker_share(past, stretch, second.quotes)
        second.jump = max(
            (abs(jump_of(past, stretch, s, i) or 0) for i in second.quotes for s in (BID, ASK)),
            default=0,
        )
        self._sample_book(second)
        self._sample_flows(second)
        self._sample_counts(second)

    def _sample_book(self, second: Second) -> None:
        at, number, named = second.at, second.number, self.named
        valid = self.past.valid_at(at)
        second.spread = None if valid is None else float(valid.ask_price - valid.bid_price)
        second.narrowed = self._narrowed(at)
        usual = named["spread"].before(at, 0.5)
        if second.spread is not None:
            named["spread"].sample(at, second.spread, number)
            named["recent_spread"].sample(at, second.spread, number)
            tick = self.past.tick_at(at)
            if tick is not None:
                self.one_tick.append((at, float(second.spread <= tick)))
        if second.narrowed is not None and usual:
            named["spread_slope"].sample(at, max(0.0, second.narrowed / usual), number)

    def _sample_flows(self, second: Second) -> None:
        at, number, named, past = second.at, second.number, self.named, self.past
        if second.log_flow is not None:
            named["quote_flow"].sample(at, abs(self.recent_log_flow(at)), number)
            self.drift.append((at, second.log_flow**2))
        if not second.traded:
            return
        named["flow"].sample(at, abs(taker_flow(past, at, 30)), number)
        named["taker_flow"].sample(at, abs(taker_flow(past, at, 10)), number)
        mid, mid_before = past.mid_at(at), past.mid_at(at - 30_000)
        is_long_ago = at - 30_000 < second.stretch.first_second
        if mid is not None and mid_before is not None and not is_long_ago:
            named["move_30s"].sample(at, abs(mid - mid_before), number)
        mid, mid_before = past.mid_at(at), past.mid_at(at - 1000)
        first = at == second.stretch.first_second
        if mid is not None and mid_before is not None and not first:
            self.impact.append((at, taker_flow(past, at, 1), mid - mid_before))

    def _sample_counts(self, second: Second) -> None:
        at, number, named = second.at, second.number, self.named
        for removed in sorted(second.removal):
            if removed > 0:
                named["removal"].sample(at, removed, number)
        named["quote_rate"].sample(at, len(second.quotes), number)
        named["trade_rate"].sample(at, second.prints, number)
        if second.flicker_share is not None:
            named["flicker"].sample(at, second.flicker_share, number)
        if second.jump > 0:
            named["jump"].sample(at, second.jump, number)

    def _log_flow(self, second: Second) -> float | None:
        depth = self.named["depth"].before(second.at, 0.5)
        if depth is None:
            return None
        return sum(log_flow(self.past, index, depth) for index in second.quotes if index > 0)

    def one_tick_share(self, at: float) -> float:
        """Return the weighted share of seconds with a spread of a tick, 0 while warming."""
        count = bisect_left(self._one_tick_times, at)
        if count < ONE_TICK_SAMPLES:
            return 0.0
        weight = weights(self._one_tick_numbers[:count])
        return float((weight * self._one_tick_column[:count]).sum() / weight.sum())

    def _numbers(self, times: list[int]) -> npt.NDArray[np.float64]:
        return np.array([self.by_time[at].number for at in times], np.float64)

    @cached_property
    def _one_tick_numbers(self) -> npt.NDArray[np.float64]:
        return self._numbers(self._one_tick_times)

    @cached_property
    def _one_tick_times(self) -> list[int]:
        return [at for at, _ in self.one_tick]

    @cached_property
    def _one_tick_column(self) -> npt.NDArray[np.float64]:
        return np.array([one for _, one in self.one_tick])

    def recent_log_flow(self, at: int) -> float:
        """Log-OFI of the last 10 seconds, as far as they were awake."""
        recent = [second for second in self.seconds[-10:] if at - 10_000 < second.at <= at]
        if not recent or recent[-1].at != at:
            recent = [self.by_time[t] for t in range(at - 9000, at + 1, 1000) if t in self.by_time]
        return sum(second.log_flow or 0.0 for second in recent)

    def _narrowed(self, at: int) -> float | None:
        last = self.seconds[-10:]
        if len(last) < 10 or last[0].at != at - 9000:
            return None
        spreads = [second.spread for second in last if second.spread is not None]
        if len(spreads) < 10:
            return None
        return (sum(spreads[:5]) - sum(spreads[5:])) / 5

    def impact_before(self, at: float) -> float | None:
        """λ: 1e-8 of price a share, from the samples before an instant."""
        count = bisect_left(self._impact_times, at)
        if count < IMPACT_SAMPLES:
            return None
        weight = weights(self._impact_numbers[:count])
        flow, move = self._impact_columns[0][:count], self._impact_columns[1][:count]
        squares = float((weight * flow * flow).sum())
        return float((weight * flow * move).sum()) / squares if squares > 0 else None

    @cached_property
    def _impact_times(self) -> list[int]:
        return [at for at, _, _ in self.impact]

    @cached_property
    def _impact_numbers(self) -> npt.NDArray[np.float64]:
        return self._numbers(self._impact_times)

    @cached_property
    def _impact_columns(self) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        return np.array([x for _, x, _ in self.impact]), np.array([y for _, _, y in self.impact])

    def drift_before(self, at: float) -> float | None:
        """Weighted mean of the squared log-OFI, from the samples before an instant."""
        count = bisect_left(self._drift_times, at)
        if count < DRIFT_SAMPLES:
            return None
        weight = weights(self._drift_numbers[:count])
        return float((weight * self._drift_squares[:count]).sum() / weight.sum())

    def knows_drift(self, at: int) -> bool:
        """Tell whether the mean square of the log-OFI is known as sampled up to a second."""
        return bisect_right(self._drift_times, at) >= DRIFT_SAMPLES

    @cached_property
    def _drift_times(self) -> list[int]:
        return [at for at, _ in self.drift]

    @cached_property
    def _drift_numbers(self) -> npt.NDArray[np.float64]:
        return self._numbers(self._drift_times)

    @cached_property
    def _drift_squares(self) -> npt.NDArray[np.float64]:
        return np.array([square for _, square in self.drift])


def log_flow(past: Past, index: int, depth: float) -> float:
    """sign(e)·ln(1 + abs(e)/D̃) of one quote."""
    flow = order_flow(past, index)
    return math.copysign(math.log(1 + abs(flow) / depth), flow) if flow else 0.0


def taker_flow(past: Past, at: float, seconds: int) -> float:
    """Signed taker volume of the last seconds."""
    return sum(one.taker * one.size for one in past.prints_in(at - seconds * 1000, at))


def net_removal(
    past: Past, stretch: Stretch, side: int, at: int
) -> tuple[float, float, float | None]:
    """Return a side's net removal, its traded part and when the first quote removed."""
    removed = gone = 0.0
    first = None
    for index in past.quotes_in(at - 1000, at):
        if index <= past.quotes_of(stretch).start:
            continue
        change = _removed(past.quotes[index - 1], past.quotes[index], side)
        removed += change
        gone += max(0.0, change)
        if change > 0 and first is None:
            first = past.quotes[index].stamp
    traded = sum(one.size for one in taken_at_best(past, stretch, side, at))
    net = removed - traded
    return net if abs(net) > ROUNDING * gone else 0.0, traded, first


def taken_at_best(past: Past, stretch: Stretch, side: int, at: int) -> list[Print]:
    """Return the second's prints at the side's best by takers of that side."""
    first = past.quotes_of(stretch).start
    return [
        one
        for one in past.prints_in(at - 1000, at)
        if one.takes(side) and one.index >= first and one.price == price_of(one.before, side)
    ]


def _removed(before: Quote, quote: Quote, side: int) -> float:
    was, now = price_of(before, side), price_of(quote, side)
    if was is None:
        return 0.0
    if now is None or is_worse(side, now, was):
        return size_of(before, side)
    return size_of(before, side) - size_of(quote, side) if now == was else 0.0


def jump_of(past: Past, stretch: Stretch, side: int, index: int) -> int | None:
    """Return how far a quote that changes a best is above where it came from in under 5 ms."""
    change = price_change(past, stretch, side, index)
    if change is None:
        return None
    first = change
    for other in range(index - 1, past.quotes_of(stretch).start, -1):
        if past.quotes[other].stamp <= past.quotes[index].stamp - JUMP_MS:
            break
        first = price_change(past, stretch, side, other) or first
    return change[1] - first[0]


def price_change(past: Past, stretch: Stretch, side: int, index: int) -> tuple[int, int] | None:
    """Return a quote's change of a side's best price (from, to); None where there is none."""
    if index == past.quotes_of(stretch).start:
        return None
    was, now = price_of(past.quotes[index - 1], side), price_of(past.quotes[index], side)
    return (was, now) if was is not None and now is not None and was != now else None


def flicker_share(past: Past, stretch: Stretch, indices: range) -> float | None:
    """Share of the best-price changes that go back on the one before within 100 ms."""
    changes = undone = 0
    for index in indices:
        for side in (BID, ASK):
            change = price_change(past, stretch, side, index)
            if change is not None:
                changes += 1
                undone += _undoes(past, stretch, side, index)
    return undone / changes if changes else None


def _undoes(past: Past, stretch: Stretch, side: int, index: int) -> bool:
    for other in range(index - 1, past.quotes_of(stretch).start, -1):
        if past.quotes[other].stamp < past.quotes[index].stamp - FLICKER_MS:
            return False
        before = price_change(past, stretch, side, other)
        if before is not None:
            return before[0] == price_of(past.quotes[index], side)
    return False
