"""A ticker's stored seconds as columns of numbers, which sum windows of any length.

`RollingBars` is made for a tick: to add a second, and to sum few windows. This table is made for
questions, of up to a day: it takes all seconds at once, and sums any window in them. The metrics of
its windows are computed by the same code.
"""

from collections import Counter, namedtuple
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import astuple, dataclass, fields
from operator import attrgetter
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from app.analysis.bars import ADDITIVE_FIELDS, CLOSING_FIELDS, COUNT_FIELDS, SECOND_MS, Bar
from app.analysis.gaps import Gap, SecondSums, overlap, seconds_inside
from app.analysis.price_fields import PRICE_FIELDS, PriceWalk
from app.analysis.price_units import DEFAULT_DIGITS, FLOAT_UNITS_PER_ONE, UNITS_PER_ONE
from app.analysis.records import Quote
from app.analysis.rolling_bars import RollingBars, Window
from app.analysis.window_rows import window_parts
from app.analysis.window_sums import BarSums

Numbers = NDArray[np.float64]
Ends = NDArray[np.int64]

RANGE_FIELDS: Final = ("min_spread", "max_spread")
NUMBER_FIELDS: Final = (*ADDITIVE_FIELDS, *COUNT_FIELDS, *RANGE_FIELDS, *CLOSING_FIELDS)
"""The fields of a bar that a table has as columns, in their order."""
_COLUMN: Final = {name: place for place, name in enumerate(NUMBER_FIELDS)}
_SUMS: Final = len(ADDITIVE_FIELDS) + len(COUNT_FIELDS)
_CLOSING: Final = _SUMS + len(RANGE_FIELDS)
_TIME_NAMES: Final = tuple(field.name for field in fields(SecondSums))
_TIME: Final = [_COLUMN[name] for name in _TIME_NAMES]
_numbers_of = attrgetter(*NUMBER_FIELDS)

# Untyped, since the fields are computed from Bar's and no type checker can list them.
_namedtuple: Any = namedtuple  # noqa: PYI024
_Closing = _namedtuple("_Closing", CLOSING_FIELDS)


@dataclass(frozen=True, slots=True)
class StoredSeconds:
    """Seconds as they are stored, in order of time; what is between them was silent or not seen.

    `numbers` has a row a second, with the columns `NUMBER_FIELDS`; prices are in units of
    10^-`digits`, a row each. `first_quotes` are, by the second, the ticker's first quote or the
    first after a gap, in that second's unit; `quality` counts oddities by the second.
    """

    ends: Ends
    numbers: Numbers
    digits: NDArray[np.int64]
    first_quotes: Mapping[int, Quote]
    quality: Mapping[int, Mapping[str, int]]

    @classmethod
    def from_bars(cls, bars: Sequence[Bar]) -> "StoredSeconds":
        """Return bars in order of time as columns."""
        numbers = np.array([_numbers_of(bar) for bar in bars], np.float64)
        return cls(
            np.array([bar.end for bar in bars], np.int64),
            numbers.reshape(len(bars), len(NUMBER_FIELDS)),
            np.array([bar.digits for bar in bars], np.int64),
            {bar.end: bar.first_quote for bar in bars if bar.first_quote is not None},
            {bar.end: bar.quality for bar in bars if bar.quality},
        )

    def between(self, after_ms: float, until_ms: float) -> "StoredSeconds":
        """Return the seconds that end in (after, until], and the newest one before them."""
        first = max(0, int(np.searchsorted(self.ends, after_ms, "right")) - 1)
        last = int(np.searchsorted(self.ends, until_ms, "right"))
        return self.rows(slice(first, last))

    def followed_by(self, later: "StoredSeconds") -> "StoredSeconds":
        """Return these seconds and those of `later` that end after the newest of these."""
        if not len(self.ends):
            return later
        new = later.rows(slice(int(np.searchsorted(later.ends, self.ends[-1], "right")), None))
        return StoredSeconds(
            np.concatenate((self.ends, new.ends)),
            np.concatenate((self.numbers, new.numbers)),
            np.concatenate((self.digits, new.digits)),
            {**self.first_quotes, **new.first_quotes},
            {**self.quality, **new.quality},
        )

    def newest_quote_ms(self) -> int | None:
        """Return the end of the newest second with a quote, None if none has one."""
        quoted = np.flatnonzero(self.numbers[:, _COLUMN["quote_count"]])
        return int(self.ends[quoted[-1]]) if len(quoted) else None

    def has_trades(self) -> bool:
        """Return whether the ticker has had trades by the newest second."""
        return bool(len(self.ends)) and bool(self.numbers[-1, _COLUMN["trades_seen"]])

    def rows(self, rows: slice) -> "StoredSeconds":
        """Return some of these seconds."""
        ends = self.ends[rows]
        known = {*ends.tolist()} if self.first_quotes or self.quality else set[int]()
        return StoredSeconds(
            ends,
            self.numbers[rows],
            self.digits[rows],
            {end: quote for end, quote in self.first_quotes.items() if end in known},
            {end: counts for end, counts in self.quality.items() if end in known},
        )

    def in_one_unit(self, least_digits: int = DEFAULT_DIGITS) -> "StoredSeconds":
        """Return the same seconds in the finest unit of all, at least one of `least_digits`."""
        digits = max(least_digits, int(self.digits.max(initial=least_digits)))
        if (self.digits == digits).all():
            return self
        numbers = self.numbers.copy()
        finer = 10.0 ** (digits - self.digits)
        for name in PRICE_FIELDS["Bar"]:
            numbers[:, _COLUMN[name]] *= finer
        quotes = {}
        for row, end in enumerate(self.ends.tolist()):
            quote = self.first_quotes.get(end)
            if quote is not None:
                factor = UNITS_PER_ONE[digits - int(self.digits[row])]
                quotes[end] = PriceWalk(factor).visit(quote) if factor > 1 else quote
        return StoredSeconds(
            self.ends, numbers, np.full_like(self.digits, digits), quotes, self.quality
        )


class WindowTable:
    """Every second from the first stored one up to `as_of`, silent ones filled in, gaps cut out.

    It has the methods of `RollingBars` that questions use. `gaps` are all times of which nothing is
    known, those among them that were not stored.
    """

    def __init__(
        self,
        stored: StoredSeconds,
        as_of: int,
        gaps: Sequence[Gap] = (),
        least_digits: int = DEFAULT_DIGITS,
    ) -> None:
        stored = stored.in_one_unit(least_digits)
        self.digits = int(stored.digits[0]) if len(stored.digits) else least_digits
        self.end = as_of
        self._first_quotes = sorted(stored.first_quotes.items())
        self._quality = stored.quality
        self._ends, self._rows = _every_second(stored, as_of, gaps)
        for gap in gaps:
            self._cut(gap)

    def windows(self, as_of: int, spans: Iterable[int]) -> list[Window]:
        """Return the windows of `spans` seconds that end at `as_of`."""
        return [self._window(as_of, span) for span in spans]

    def column(self, name: str, as_of: int, seconds: int) -> list[float]:
        """Return a field's values in the last `seconds` up to `as_of`, or in all there are."""
        values: list[float] = self._part(as_of, seconds)[:, _COLUMN[name]].tolist()
        return values

    def quality(self, as_of: int, seconds: int) -> dict[str, int]:
        """Return the counts of oddities of the window's records by name."""
        total: Counter[str] = Counter()
        for end, counts in self._quality.items():
            if as_of - seconds * SECOND_MS < end <= as_of:
                total.update(counts)
        return dict(sorted(total.items()))

    def unseen_seconds(self, as_of: int, seconds: int) -> float:
        """Return the part of the window before the first second in which a quote stood."""
        stood = np.flatnonzero(self._rows[:, _COLUMN["stood"]])
        seen = int(self._ends[stood[0]]) - SECOND_MS if len(stood) else as_of
        return (seen - (as_of - seconds * SECOND_MS)) / SECOND_MS

    def _part(self, as_of: int, seconds: int) -> Numbers:
        last = int(np.searchsorted(self._ends, as_of, "right"))
        first = int(np.searchsorted(self._ends, as_of - seconds * SECOND_MS, "right"))
        return self._rows[first:last]

    def _window(self, as_of: int, span: int) -> Window:
        whole, half, fifth = (self._part(as_of, length) for length in window_parts(span))
        ranges = whole[whole[:, _COLUMN["max_spread"]] > 0]
        return Window(
            as_of,
            span,
            _sums_of(whole),
            _sums_of(half),
            _sums_of(fifth),
            float(ranges[:, _COLUMN["min_spread"]].min()) if len(ranges) else 0.0,
            float(ranges[:, _COLUMN["max_spread"]].max()) if len(ranges) else 0.0,
            self._closing(as_of - span * SECOND_MS),
            self._closing(as_of) or _Closing._make([0.0] * len(CLOSING_FIELDS)),
            self._first_quote(as_of),
            FLOAT_UNITS_PER_ONE[self.digits],
        )

    def _closing(self, at: int) -> Any:  # noqa: ANN401 - as `RollingBars` types it
        """Return the closing values of the second that ends at an instant, None if there is none.

        They are those of the newest second of this table if the instant is after it.
        """
        row = int(np.searchsorted(self._ends, at, "right")) - 1
        return None if row < 0 else _Closing._make(self._rows[row, _CLOSING:].tolist())

    def _first_quote(self, as_of: int) -> Quote | None:
        """Return the newest first quote up to an instant: of the ticker, or after a gap."""
        return next((q for end, q in reversed(self._first_quotes) if end <= as_of), None)

    def _cut(self, gap: Gap) -> None:
        """Take a gap's time out of the seconds that were built as if there were none."""
        for end in seconds_inside(gap, SECOND_MS):
            row = int(np.searchsorted(self._ends, end))
            if row < len(self._ends) and self._ends[row] == end:
                self._cut_second(self._rows[row], gap, overlap(gap, end - SECOND_MS, end))

    def _cut_second(self, row: Numbers, gap: Gap, inside_ms: float) -> None:
        sums = SecondSums(*row[_TIME].tolist())
        if sums.covered_ms <= 0:
            return
        sums.leave_out(gap, inside_ms, FLOAT_UNITS_PER_ONE[self.digits])
        row[_TIME] = astuple(sums)
        if not sums.spread_time_ms:
            row[[_COLUMN[name] for name in RANGE_FIELDS]] = 0.0
        if inside_ms >= SECOND_MS:
            row[_COLUMN["returns"]] = 0.0


def _sums_of(rows: Numbers) -> BarSums:
    return BarSums(rows[:, :_SUMS].sum(axis=0).tolist())


def _begins_anew(stored: StoredSeconds, row: int, gaps: Sequence[Gap]) -> bool:
    """Return whether a stored second has the first quote of a ticker whose state was lost.

    A first quote after a gap that the ticker's state knew is none: what stood before it is known.
    Gaps that were found later (they have `cut_to` alone) explain no first quote.
    """
    end = int(stored.ends[row])
    if end not in stored.first_quotes:
        return False
    quoted_ms = stored.rows(slice(0, row)).newest_quote_ms() or 0
    known = (gap for gap in gaps if gap.stands_at or not gap.cut_to)
    return not any(quoted_ms - SECOND_MS < gap.end <= end for gap in known)


def _every_second(stored: StoredSeconds, as_of: int, gaps: Sequence[Gap]) -> tuple[Ends, Numbers]:
    """Return a row for each second from the first stored one to `as_of`."""
    if not len(stored.ends):
        return stored.ends, stored.numbers.copy()
    first, last = int(stored.ends[0]), min(int(stored.ends[-1]), as_of)
    ends = np.arange(first, max(as_of, last) + 1, SECOND_MS, dtype=np.int64)
    source = np.searchsorted(stored.ends, ends, "right") - 1
    rows = stored.numbers[source]
    is_silent = stored.ends[source] != ends
    for before in np.unique(source[is_silent]).tolist():
        begun, following = np.searchsorted(source, (before, before + 1))
        is_last = before + 1 == len(stored.ends)
        is_seen = is_last or not _begins_anew(stored, before + 1, gaps)
        rows[begun + 1 : following] = _silent_row(stored, before, is_covered=is_seen)
    return ends, rows


def _silent_row(stored: StoredSeconds, row: int, *, is_covered: bool) -> Numbers:
    """Return the numbers of a second without records that follows a stored one.

    The analysis fills it in, after the newest values of that second.
    """
    end = int(stored.ends[row])
    before = Bar(end).set_fields(
        zip(CLOSING_FIELDS, _as_bar_values(stored.numbers[row, _CLOSING:]), strict=True)
    )
    before.returns = int(stored.numbers[row, _COLUMN["returns"]])
    before.digits = int(stored.digits[row])
    table = RollingBars.from_bars([before], 1)
    table.lost_to = 0 if is_covered else end + SECOND_MS
    table.fill_to(end + SECOND_MS)
    [window] = table.windows(end + SECOND_MS, (1,))
    ranges = window.min_spread, window.max_spread
    return np.array([*astuple(window.sums), *ranges, *window.end], np.float64)


_CLOSING_TYPES: Final = tuple(type(getattr(Bar(0), name)) for name in CLOSING_FIELDS)


def _as_bar_values(values: Numbers) -> list[float | int]:
    return [kind(value) for kind, value in zip(_CLOSING_TYPES, values.tolist(), strict=True)]
