"""Sum up a ticker's session: prints since the open, where they printed, and what was seen.

Sums are of published prices, so that they don't depend on the ticker's price unit; they count the
prints of the regular session only.
"""

import math
from dataclasses import dataclass, field
from typing import Final

from app.analysis.baselines import TickSize
from app.analysis.price_units import FLOAT_UNITS_PER_ONE, published_price
from app.analysis.quantiles import (
    DecayClock,
    DecayedHistogram,
    FloatArray,
    decayed_histogram,
    float_array,
)
from app.analysis.records import BUY, SELL, Trade
from app.analysis.trading_hours import HALF_HOUR_MS, OPEN_PHASES, TradingHours

LARGE_PRINT_QUANTILE: Final = 0.95
MAX_ROWS: Final = 200
VALUE_AREA_SHARE: Final = 0.7
SECOND_MS: Final = 1000

SESSION_PRICES: Final = (
    "open",
    "high",
    "low",
    "vwap",
    "vwap_sd",
    "poc",
    "value_area_low",
    "value_area_high",
    "opening_range_low",
    "opening_range_high",
)
"""Published prices of a session."""
SESSION_NUMBERS: Final = (
    "as_of",
    "opened_at",
    "closes_at",
    "covered_seconds",
    "since",
    "volume",
    "cvd",
    "cvd_large",
    "cvd_large_since",
    *SESSION_PRICES,
)
"""Published fields of a session, beside its words `calendar` and `phase`."""

SessionFields = dict[str, int | float | str]


@dataclass(slots=True)
class VolumeProfile:
    """Volume by rows of prices, each `width` wide, once the tick is known; before, by price.

    Rows are counted from the first print: row 0 begins at it where a buyer was the aggressor, and
    row -1 ends at it where a seller was (`is_upward` false), so that a mirrored market has mirrored
    rows. Beside a quoted price, the nearest one further on is meant. `rows` holds all rows from
    `first_row` to the last with volume. `tick` and all prices are in price units.
    """

    anchor: int = 0
    tick: int = 0
    width: int = 0
    is_upward: bool = True
    first_row: int = 0
    rows: FloatArray = field(default_factory=float_array)
    by_price: dict[int, float] = field(default_factory=dict)

    def add(self, price: int, size: float, aggressor: int) -> None:
        """Add a print."""
        if not self.anchor:
            self.anchor, self.is_upward = price, aggressor != SELL
        if not self.width:
            self.by_price[price] = self.by_price.get(price, 0.0) + size
            if len(self.by_price) > MAX_ROWS:
                self._begin_rows(self._common_step(), self.anchor)
            return
        self._add_to_row(self._row_of(price), size)

    def use_tick(self, tick: TickSize) -> None:
        """Begin to count by rows, if there is a print and the tick is known."""
        if tick.size and not self.width and self.by_price:
            self._begin_rows(tick.size, tick.first)

    def _common_step(self) -> int:
        """Return the greatest common divisor of the distances of the printed prices."""
        step = 0
        for price in self.by_price:
            step = math.gcd(step, price - self.anchor)
        return step

    def _begin_rows(self, tick: int, quoted: int) -> None:
        self.tick = self.width = tick
        off = (self.anchor - quoted) % tick
        if off:
            self.anchor += -off if self.is_upward else tick - off
        for price, size in self.by_price.items():
            self._add_to_row(self._row_of(price), size)
        self.by_price = {}

    def _row_of(self, price: int) -> int:
        if self.is_upward:
            return (price - self.anchor) // self.width
        return -1 - (self.anchor - price) // self.width

    def _add_to_row(self, row: int, size: float) -> None:
        if not self.rows:
            self.first_row = row
        while max(row, self.first_row + len(self.rows) - 1) - min(row, self.first_row) >= MAX_ROWS:
            self._double_width()
            row //= 2
        if row < self.first_row:
            self.rows[:0] = float_array(0.0) * (self.first_row - row)
            self.first_row = row
        place = row - self.first_row
        if place >= len(self.rows):
            self.rows.extend(float_array(0.0) * (place - len(self.rows) + 1))
        self.rows[place] += size

    def _double_width(self) -> None:
        """Make one row of each two."""
        first = self.first_row // 2
        merged = float_array(0.0) * ((self.first_row + len(self.rows) - 1) // 2 - first + 1)
        for place, size in enumerate(self.rows):
            merged[(self.first_row + place) // 2 - first] += size
        self.first_row, self.rows, self.width = first, merged, 2 * self.width

    def point_of_control(self) -> int:
        """Return the place in `rows` of the greatest volume, of equals the nearest to the anchor.

        Where rows on both of its sides are as near, it is the one on the first print's side.
        """
        greatest = max(self.rows)
        found, nearest = -1, 0
        for place, size in enumerate(self.rows):
            if size == greatest:
                row = self.first_row + place
                off = 2 * abs(2 * row + 1) + int((row >= 0) != self.is_upward)
                if found < 0 or off < nearest:
                    found, nearest = place, off
        return found

    def value_area(self, control: int) -> tuple[int, int]:
        """Return the places of the rows that hold 70 % of the volume, grown from the control's.

        The larger neighbour is added, both where they are equal.
        """
        rows, low, high = self.rows, control, control
        total = 0.0
        for size in rows:
            total += size
        held = rows[control]
        last = len(rows) - 1
        while held < VALUE_AREA_SHARE * total and (low > 0 or high < last):
            below = rows[low - 1] if low > 0 else -1.0
            above = rows[high + 1] if high < last else -1.0
            if below >= above:
                low -= 1
                held += below
            if above >= below:
                high += 1
                held += above
        return low, high

    def bounds(self, place: int) -> tuple[int, int]:
        """Return the lowest and the highest price of a row, the same where it is one tick wide."""
        start = self.anchor + (self.first_row + place) * self.width
        if self.is_upward:
            return start, start + self.width - self.tick
        return start + self.tick, start + self.width


@dataclass(slots=True)
class Session:
    """What a ticker's session holds so far; stamps in ms, 0 where unknown, prices in price units.

    `ends_at` is where the phase ends. `seen_from` is the open, or the first quote where the feed
    began later, and `first_quote_at` the ticker's first; `gap_ms` is lost time since then. `mean`
    and `spread_squares` are the size-weighted mean of the prints' distance from the first one, and
    the sum of squares about it. A print is large from `large_size` on, the quantile in force at the
    last whole second, known since `large_since`.
    """

    calendar: str = ""
    phase: str = ""
    opened_at: int = 0
    closes_at: int = 0
    ends_at: int = 0
    seen_from: float = 0.0
    gap_ms: float = 0.0
    first_price: int = 0
    high: int = 0
    low: int = 0
    opening_high: int = 0
    opening_low: int = 0
    volume: float = 0.0
    cvd: float = 0.0
    cvd_large: float = 0.0
    large_since: float = 0.0
    mean: float = 0.0
    spread_squares: float = 0.0
    profile: VolumeProfile = field(default_factory=VolumeProfile)
    print_sizes: DecayedHistogram = field(
        default_factory=lambda: decayed_histogram(LARGE_PRINT_QUANTILE)
    )
    large_size: float = 0.0
    first_quote_at: float = 0.0
    ended: SessionFields | None = field(default=None, init=False)

    def follow(self, hours: TradingHours, stamp: float, gap_end: float, digits: int) -> None:
        """Enter the phase of an instant; a new session begins empty, and the last is in `ended`.

        Up to `gap_end` nothing was seen.
        """
        now = hours.at(stamp)
        is_same = now.opened_at == self.opened_at and hours.name == self.calendar
        if not is_same and self.seen_from:
            self.ended = self.fields(self.closes_at, digits)
        self.phase, self.ends_at = now.phase, now.ends_at
        if is_same:
            return
        self.calendar = hours.name
        self.opened_at, self.closes_at = now.opened_at, now.closes_at
        self.seen_from = 0.0
        if self.first_quote_at:
            self.seen_from = max(float(now.opened_at), self.first_quote_at, gap_end)
        self.gap_ms = self.volume = self.cvd = self.cvd_large = 0.0
        self.first_price = self.high = self.low = 0
        self.opening_high = self.opening_low = 0
        self.mean = self.spread_squares = 0.0
        self.large_since = float(now.opened_at) if self.large_size else 0.0
        self.profile = VolumeProfile()

    def see_first_quote(self, stamp: float) -> None:
        """Note the ticker's first quote: before it nothing was seen."""
        if not self.first_quote_at:
            self.first_quote_at = stamp
            self.seen_from = max(float(self.opened_at), stamp)

    def skip_gap(self, start: float, end: float) -> None:
        """Take a gap out of what was seen; one that covers the open makes it begin later."""
        if not self.seen_from or end <= self.seen_from:
            return
        if start <= self.seen_from:
            self.seen_from = end
        else:
            self.gap_ms += max(0.0, min(end, float(self.closes_at)) - start)

    def add_trade(
        self, trade: Trade, aggressor: int, units_per_one: float, clock: DecayClock
    ) -> None:
        """Add a print; call `follow` before the first one of a phase."""
        self.print_sizes.add(trade.size, clock)
        if self.phase not in OPEN_PHASES:
            return
        price, size = trade.price, trade.size
        if not self.first_price:
            self.first_price = self.high = self.low = price
        self.high = max(self.high, price)
        self.low = min(self.low, price)
        if trade.stamp < self.opened_at + HALF_HOUR_MS:
            self.opening_high = max(self.opening_high, price)
            if price < self.opening_low or not self.opening_low:
                self.opening_low = price
        signed = size if aggressor == BUY else -size if aggressor == SELL else 0.0
        self.cvd += signed
        if self.large_size and size >= self.large_size:
            self.cvd_large += signed
        self.volume += size
        # West (1979): no cancellation, whatever the first price.
        distance = published_price(price - self.first_price, units_per_one) - self.mean
        step = distance * size / self.volume
        self.mean += step
        self.spread_squares += size * distance * (distance - step)
        self.profile.add(price, size, aggressor)

    def close_second(self, end: int, tick: TickSize) -> None:
        """Renew what is in force from a whole second on."""
        self.profile.use_tick(tick)
        large = self.print_sizes.quantile(0)
        if large is not None:
            self.large_size = large
            if not self.large_since:
                self.large_since = float(end)

    def fields(self, as_of: int, digits: int) -> SessionFields:
        """Return what is published (contract, section 9); what is unknown is absent."""
        found: SessionFields = {"as_of": as_of, "calendar": self.calendar, "phase": self.phase}
        if not self.opened_at:
            return found
        found["opened_at"], found["closes_at"] = self.opened_at, self.closes_at
        until = min(float(as_of), float(self.closes_at))
        if self.seen_from and until >= self.seen_from:
            found["covered_seconds"] = (until - self.seen_from - self.gap_ms) / SECOND_MS
            if self.seen_from > self.opened_at:
                found["since"] = self.seen_from
        if self.first_price:
            self._add_prints(found, FLOAT_UNITS_PER_ONE[digits])
        return found

    def _add_prints(self, found: SessionFields, units_per_one: float) -> None:
        vwap = published_price(self.first_price, units_per_one) + self.mean
        found["open"] = published_price(self.first_price, units_per_one)
        found["high"] = published_price(self.high, units_per_one)
        found["low"] = published_price(self.low, units_per_one)
        found["volume"], found["cvd"] = self.volume, self.cvd
        if self.large_since:
            found["cvd_large"] = self.cvd_large
            if self.large_since > self.opened_at:
                found["cvd_large_since"] = self.large_since
        found["vwap"] = vwap
        found["vwap_sd"] = math.sqrt(max(0.0, self.spread_squares / self.volume))
        self._add_profile(found, units_per_one)
        if self.opening_low:
            found["opening_range_low"] = published_price(self.opening_low, units_per_one)
            found["opening_range_high"] = published_price(self.opening_high, units_per_one)

    def _add_profile(self, found: SessionFields, units_per_one: float) -> None:
        profile = self.profile
        if not profile.width:
            return
        control = profile.point_of_control()
        low, high = profile.value_area(control)
        lowest, highest = profile.bounds(control)
        found["poc"] = published_price(lowest + highest, 2.0 * units_per_one)
        found["value_area_low"] = published_price(profile.bounds(low)[0], units_per_one)
        found["value_area_high"] = published_price(profile.bounds(high)[1], units_per_one)
