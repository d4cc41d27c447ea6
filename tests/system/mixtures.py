"""Mixtures of records as brokers write them: in time, late, refused, mis-stamped, odd; by seed.

A ticker's feed is drawn in phases. Each phase does one thing to a share of the records, and the
rest of them are ordinary. Every record knows what a plain reading of the contract makes of it.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Any, NamedTuple

from app.analysis.records import Quote, Record, Trade
from tests.builders import START_MS, UNITS

TICKERS = ("AAA", "BB/B", "C:C")
JITTER_MS = (10.0, 150.0)
DELAYS_MS = (0.0, 0.0, 0.0, 0.0, 3_000.0, 10_000.0, 900_000.0)
LATENESS_MS = (1_500.0, 4_000.0, 15_000.0)
OLDEST_MS, NEWEST_MS = 1e12, 1e14
"""Scores outside of these are no milliseconds."""

Fields = dict[str, Any]


@dataclass(slots=True)
class Written:
    """A member of one of the broker's keys, and what it is worth."""

    kind: str
    score: float
    arrives_ms: float
    member: bytes
    record: Record | None = None
    """As it is to be read; None where it is to be refused."""
    reason: str = ""
    """Why it is refused."""
    oddities: tuple[str, ...] = ()
    """What is counted about a usable one."""
    is_copy: bool = False

    @property
    def is_stamped_in_ms(self) -> bool:
        """Return whether the score can be epoch milliseconds."""
        return OLDEST_MS <= self.score <= NEWEST_MS


class Phase(NamedTuple):
    """Some seconds of a feed in which one thing is done to a share of the records."""

    name: str
    seconds: int
    share: float


# --- what is done to a record -------------------------------------------------------------------


class _Draft(NamedTuple):
    """An ordinary record, which a deed may change."""

    fields: Fields
    written: Written


def _write(draft: _Draft, **changed: object) -> Written:
    """Write a draft's fields, with changes; a change to `...` leaves the field out."""
    fields = {name: v for name, v in (draft.fields | changed).items() if v is not ...}
    draft.written.member = json.dumps(fields).encode()
    return draft.written


def _refuse(draft: _Draft, reason: str, **changed: object) -> Written:
    written = _write(draft, **changed)
    written.record, written.reason, written.oddities = None, reason, ()
    return written


Spoil = Callable[[_Draft], Written]


def _replaced(reason: str, member: str) -> Spoil:
    """Return a spoiler that writes something else; its number keeps it from merging with others."""

    def spoil(draft: _Draft) -> Written:
        written = _refuse(draft, reason)
        written.member = member.replace("N", str(draft.fields["seq"])).encode()
        return written

    return spoil


def _changed(reason: str, **changed: object) -> Spoil:
    return lambda draft: _refuse(draft, reason, **changed)


_ANY = (
    _replaced("not_json", '{"seq": N, "bid_price": '),
    _replaced("not_json", "[N, 10.0, 100, 10.05, 100]"),
    _replaced("not_json", '"N"'),
    _changed("too_long", padding="x" * 5000),
)
REFUSED_QUOTES = (
    *_ANY,
    _changed("missing_number", ask_price=None),
    _changed("missing_number", bid_size=...),
    _changed("missing_number", bid_price="ten"),
    _changed("boolean_number", ask_size=True),
    _changed("not_finite", bid_price="inf"),
    _changed("not_finite", ask_price="nan"),
    _changed("negative_size", bid_size=-1),
    _changed("non_positive_price", ask_price=0),
    _changed("non_positive_price", bid_price=-10.0),
    _changed("out_of_range", ask_price=1e15),
    _changed("out_of_range", ask_size=1e17),
)
REFUSED_TRADES = (
    *_ANY,
    _changed("missing_number", price=None),
    _changed("missing_number", size=...),
    _changed("boolean_number", price=True),
    _changed("not_finite", size="Infinity"),
    _changed("negative_size", size=-5),
    _changed("zero_size", size=0),
    _changed("non_positive_price", price=0.0),
    _changed("out_of_range", price=1e15),
)


def _emptied(side: str, price: object) -> Spoil:
    """Return a spoiler that empties a side, whatever then stands for its price."""

    def spoil(draft: _Draft) -> Written:
        record = draft.written.record
        assert isinstance(record, Quote)
        setattr(record, f"{side}_size", 0.0)
        draft.written.oddities = ("one_sided",)
        return _write(draft, **{f"{side}_price": price, f"{side}_size": 0})

    return spoil


def _unnumbered(draft: _Draft) -> Written:
    assert draft.written.record is not None
    draft.written.record.seq = -1
    draft.written.oddities = ("unnumbered",)
    return _write(draft, seq=...)


def _mismatched(draft: _Draft) -> Written:
    draft.written.oddities = ("stamp_mismatch",)
    return _write(draft, timestamp=draft.written.score + 1500.0)


def _meeting(*, crossed: bool) -> Spoil:
    def spoil(draft: _Draft) -> Written:
        record = draft.written.record
        assert isinstance(record, Quote)
        price = draft.fields["bid_price"] - (0.02 if crossed else 0.0)
        record.ask_price = _units(price)
        draft.written.oddities = ("crossed" if crossed else "locked",)
        return _write(draft, ask_price=round(price, 2))

    return spoil


def _aggressor(word: object, sign: int, *oddities: str) -> Spoil:
    def spoil(draft: _Draft) -> Written:
        record = draft.written.record
        assert isinstance(record, Trade)
        record.aggressor = sign
        draft.written.oddities = oddities
        return _write(draft, aggressor=word)

    return spoil


def _as_strings(draft: _Draft) -> Written:
    """Write numbers as text, which is taken."""
    prices = {name: str(v) for name, v in draft.fields.items() if "price" in name or "size" in name}
    return _write(draft, **prices, venue="X")


_ANY_ODD = (_unnumbered, _mismatched, _as_strings)
_JUNK = (None, ..., 0, -5.0, "none", True, 1e300)
ODD_QUOTES = (
    *_ANY_ODD,
    *(_emptied(side, junk) for side in ("bid", "ask") for junk in _JUNK),
    _meeting(crossed=True),
    _meeting(crossed=False),
)
ODD_TRADES = (
    *_ANY_ODD,
    *(_aggressor(word, 1) for word in ("BUY", "Buy")),
    *(_aggressor(word, -1) for word in ("Sell", "SELL")),
    *(_aggressor(word, 0, "unknown_aggressor") for word in ("B", "bid", "unknown", "", True, 7)),
    _aggressor(..., 0),
)


def _refused(draft: _Draft, draw: Random) -> Written:
    return draw.choice(REFUSED_QUOTES if draft.written.kind == "quotes" else REFUSED_TRADES)(draft)


def _odd(draft: _Draft, draw: Random) -> Written:
    return draw.choice(ODD_QUOTES if draft.written.kind == "quotes" else ODD_TRADES)(draft)


def _late(draft: _Draft, draw: Random) -> Written:
    draft.written.arrives_ms += draw.uniform(0.0, draw.choice(LATENESS_MS))
    return draft.written


def _misstamped(draft: _Draft, draw: Random) -> Written:
    """Score a record in another unit than milliseconds."""
    factor = draw.choice((1e-3, 1e3, 1e6))
    written = _refuse(draft, "seconds_not_ms" if factor < 1 else "not_ms", timestamp=...)
    written.score *= factor
    return written


def _ahead(draft: _Draft, draw: Random) -> Written:
    """Stamp a record ahead of the time at which it comes."""
    written, record = draft.written, draft.written.record
    assert record is not None
    written.score += draw.choice((1_000.0, 4_500.0, 6_000.0, 20_000.0))
    record.stamp = written.score
    return _write(draft, timestamp=written.score)


_DEEDS: dict[str, Callable[[_Draft, Random], Written]] = {
    "refused": _refused,
    "odd": _odd,
    "late": _late,
    "misstamped": _misstamped,
    "ahead": _ahead,
}
NAMES = ("usable", *_DEEDS, "copied", "refused", "anything", "silent", "usable")


# --- a ticker's feed ----------------------------------------------------------------------------


def _units(price: float) -> int:
    return round(price * UNITS)


class Feed:
    """What a broker writes for one ticker: a walk of the best prices, in phases."""

    def __init__(self, seed: int, ticker: str, seconds: int) -> None:
        self.ticker = ticker
        self._draw = Random(f"{seed} {ticker}")  # noqa: S311 - a test's, not a secret's
        self.delay_ms = self._draw.choice(DELAYS_MS)
        self.begins_s = self._draw.choice((0, 0, 3))
        self.phases = self._phases(seconds - self.begins_s)
        self._gap_ms = self._draw.choice((60.0, 250.0, 900.0))
        self._bid, self._spread, self._seq = 1000, 5, 0
        self._sizes = [100.0, 100.0]
        self.written = self._write_all()

    def __str__(self) -> str:
        """Describe the feed in a line."""
        phases = ", ".join(f"{seconds} s {name} {share}" for name, seconds, share in self.phases)
        behind = f"{self.delay_ms / 1000:.0f} s behind"
        return f"{self.ticker} from second {self.begins_s}, {behind}: {phases}"

    def _phases(self, seconds: int) -> list[Phase]:
        found: list[Phase] = []
        while seconds > 0:
            length = min(seconds, self._draw.choice((2, 5, 9, 14)))
            name = self._draw.choice(NAMES)
            found.append(Phase(name, length, self._draw.choice((0.05, 0.3, 1.0, 1.0))))
            seconds -= length
        return found

    def _write_all(self) -> list[Written]:
        written: list[Written] = []
        end_ms = at_ms = START_MS + self.begins_s * 1000.0
        for phase in self.phases:
            end_ms += phase.seconds * 1000.0
            while at_ms < end_ms:
                if phase.name != "silent":
                    written += self._next(phase, at_ms)
                at_ms += 1.0 + round(self._draw.expovariate(1.0 / self._gap_ms) * 4) / 4
        return written

    def _next(self, phase: Phase, at_ms: float) -> list[Written]:
        draw, draft = self._draw, self._ordinary(at_ms)
        name = draw.choice([*_DEEDS]) if phase.name == "anything" else phase.name
        if draw.random() >= phase.share or name == "usable":
            return [draft.written]
        if name == "copied":
            return [draft.written, self._copy_of(draft)]
        return [_DEEDS[name](draft, draw)]

    def _copy_of(self, draft: _Draft) -> Written:
        """Write a record again in other words, soon after."""
        first = draft.written
        member = json.dumps(draft.fields | {"again": True}).encode()
        arrives_ms = first.arrives_ms + self._draw.choice((0.0, 0.0, 400.0))
        return Written(
            first.kind, first.score, arrives_ms, member, first.record, "", ("duplicate",), True
        )

    def _ordinary(self, at_ms: float) -> _Draft:
        draw = self._draw
        stamp = at_ms - self.delay_ms
        arrives_ms = at_ms + draw.uniform(*JITTER_MS)
        self._seq += 1
        made = self._trade(stamp) if draw.random() < 0.25 else self._quote(stamp)
        fields, record = made
        kind = "quotes" if isinstance(record, Quote) else "trades"
        written = Written(kind, stamp, arrives_ms, json.dumps(fields).encode(), record)
        return _Draft(fields, written)

    def _quote(self, stamp: float) -> tuple[Fields, Quote]:
        draw = self._draw
        if draw.random() < 0.4:
            self._bid += draw.choice((-2, -1, -1, 1, 1, 2))
            self._spread = draw.choice((1, 2, 5, 5, 5))
        self._sizes[draw.randrange(2)] = float(draw.randrange(1, 10) * 100)
        bid, ask = self._bid / 100, (self._bid + self._spread) / 100
        fields = {
            "timestamp": stamp,
            "bid_price": bid,
            "bid_size": self._sizes[0],
            "ask_price": ask,
            "ask_size": self._sizes[1],
            "seq": self._seq,
        }
        sizes = self._sizes
        return fields, Quote(stamp, self._seq, _units(bid), sizes[0], _units(ask), sizes[1])

    def _trade(self, stamp: float) -> tuple[Fields, Trade]:
        draw = self._draw
        sign = draw.choice((1, -1, 0))
        price = (self._bid + (self._spread if sign > 0 else 0)) / 100
        size = float(draw.randrange(1, 9) * 50)
        word = {1: "buy", -1: "sell", 0: None}[sign]
        fields = {"timestamp": stamp, "price": price, "size": size, "aggressor": word}
        return {**fields, "seq": self._seq}, Trade(stamp, self._seq, _units(price), size, sign)


def feeds_of(seed: int, seconds: int) -> list[Feed]:
    """Draw one to three tickers' feeds."""
    count = Random(seed).choice((1, 2, 3))  # noqa: S311
    return [Feed(seed, ticker, seconds) for ticker in TICKERS[:count]]
