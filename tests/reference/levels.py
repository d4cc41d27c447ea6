"""Price levels: how often, how long and with what size each price was the best of its side."""

from bisect import bisect_right
from dataclasses import dataclass, field

from tests.reference.past import SIDE_NAMES, UNITS, Past, how_left, price_of, size_of

APART_MS = 1000
GONE_MS = 900_000
KEPT = 64
PUBLISHED = 20
MOVED = 0.01


@dataclass(frozen=True)
class Form:
    """A level as it was last published."""

    price: int
    appearances: int
    size: float
    first_seen: float
    last_seen: float
    held: int
    broke: int


@dataclass
class Level:
    """One price's history as the best of its side."""

    price: int
    first_seen: float
    last_seen: float
    stay_start: float
    appearances: int = 1
    held: int = 0
    broke: int = 0
    shares_ms: float = 0.0
    ms: float = 0.0
    departed: tuple[float, str | None] | None = None
    settled: bool = False  # what the last stay came to is counted
    form: Form | None = None

    @property
    def size(self) -> float:
        """Time-weighted mean size while best."""
        return self.shares_ms / self.ms if self.ms > 0 else 0.0

    @property
    def significance(self) -> float:
        """What levels are ranked by."""
        return self.size * self.appearances

    def settle(self, at: float) -> None:
        """End the stay if the price has been away for long enough."""
        if self.departed is None or self.settled or at - self.departed[0] < APART_MS:
            return
        self.settled = True
        left_at, how = self.departed
        if left_at - self.stay_start >= APART_MS:
            self.held += how == "better"
            self.broke += how == "worse"

    def publish(self) -> None:
        """Renew the published form where it says something else by now."""
        if self.ms <= 0:
            return
        now = Form(
            self.price,
            self.appearances,
            self.size,
            self.first_seen,
            self.last_seen,
            self.held,
            self.broke,
        )
        old = self.form
        if (
            old is None
            or (old.appearances, old.held, old.broke) != (now.appearances, now.held, now.broke)
            or abs(now.size - old.size) > MOVED * old.size
        ):
            self.form = now


@dataclass
class Shelf:
    """One side's levels, second by second."""

    past: Past
    side: int
    levels: dict[int, Level] = field(default_factory=dict)
    published: dict[int, list[tuple[float, Form]]] = field(default_factory=dict)
    best: int | None = None
    size: float = 0.0
    since: float = 0.0
    seconds: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        for stretch in self.past.stretches:
            quotes = self.past.quotes_of(stretch)
            for at in stretch.seconds():
                for index in self.past.quotes_in(at - 1000, at):
                    if index in quotes:
                        self._quote(index)
                self._stand_until(at)
                self._second(at)
            self._stand_until(stretch.sleep)
            self._second(stretch.sleep)
            self._leave(stretch.sleep, None)
            self.best = None

    def _quote(self, index: int) -> None:
        quote = self.past.quotes[index]
        price = price_of(quote, self.side)
        self._stand_until(quote.stamp)
        if price != self.best:
            if self.best is not None:
                self._leave(quote.stamp, how_left(self.side, self.best, price))
            if price is not None:
                self._arrive(price, quote.stamp)
        self.best, self.size, self.since = price, size_of(quote, self.side), quote.stamp

    def _stand_until(self, at: float) -> None:
        level = self.levels.get(self.best) if self.best is not None else None
        if level is not None:
            level.shares_ms += self.size * (at - self.since)
            level.ms += at - self.since
            level.last_seen = at
        self.since = at

    def _leave(self, at: float, how: str | None) -> None:
        level = self.levels.get(self.best) if self.best is not None else None
        if level is not None:
            level.departed, level.settled = (at, how), False

    def _arrive(self, price: int, at: float) -> None:
        level = self.levels.get(price)
        if level is not None and at - level.last_seen >= GONE_MS:
            level = None
        if level is None:
            self.levels[price] = Level(price, at, at, at)
            return
        level.settle(at)
        if level.settled:
            level.appearances += 1
            level.stay_start = at
        level.departed, level.settled, level.last_seen = None, False, at

    def _second(self, at: int) -> None:
        for level in list(self.levels.values()):
            level.settle(at)
            if at - level.last_seen >= GONE_MS:
                del self.levels[level.price]
        for level in self.levels.values():
            level.publish()
        others = sorted(
            (level for level in self.levels.values() if level.price != self.best),
            key=lambda level: (level.significance, level.last_seen, level.price),
        )
        for level in others[: max(0, len(self.levels) - KEPT)]:
            del self.levels[level.price]
        self._say(at)

    def _say(self, at: int) -> None:
        """Note the published forms from this second on, with when each was last seen by then."""
        kept = self.levels.values()
        self.seconds.append(at)
        self.published[at] = [(one.last_seen, one.form) for one in kept if one.form is not None]


def published_at(shelf: Shelf, until: int) -> list[dict[str, object]]:
    """Return a side's published levels at a whole second, most significant first."""
    known = bisect_right(shelf.seconds, until)
    shown = shelf.published[shelf.seconds[known - 1]] if known else []
    forms = [form for last_seen, form in shown if until - last_seen < GONE_MS]
    return [
        {
            "price": form.price / UNITS,
            "side": SIDE_NAMES[shelf.side],
            "appearances": form.appearances,
            "size": form.size,
            "first_seen": form.first_seen,
            "last_seen": form.last_seen,
            "held": form.held,
            "broke": form.broke,
        }
        for form in sorted(forms, key=lambda form: (-form.size * form.appearances, -form.price))[
            :PUBLISHED
        ]
    ]
