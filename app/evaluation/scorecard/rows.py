"""The scorecard's rows, and all of its parts run one after the other."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from app.analysis.bars import SECOND_MS
from app.analysis.records import Record
from app.evaluation.scorecard import nulls
from app.evaluation.scorecard.agreement import Definitions, agreement
from app.evaluation.scorecard.folding import Findings, findings
from app.evaluation.scorecard.planted import Ground, planted_tally
from app.evaluation.scorecard.planting import KINDS, Kind
from app.evaluation.scorecard.precision_recall import Share, Tally
from app.evaluation.scorecard.simulated_books import BOOKS, START_MS, book, quotes_only

SIZES = ("small", "medium", "large")
EVERY_SECONDS = 90
REAL_WARM_SECONDS = 1800
REAL_EVERY_SECONDS = 600
AGREEMENT_SECONDS = 1500
TAPE_AGREEMENT_SECONDS = 5400
NULL_MARKET = "price follows flow"


@dataclass(frozen=True, slots=True)
class Course:
    """How much is run: seconds of past before the first planting, plantings, seconds of nulls."""

    warm_seconds: int
    plantings: int
    null_seconds: int
    books: tuple[str, ...]
    seed: int = 5

    @property
    def seconds(self) -> int:
        """Seconds of a book that is planted into."""
        return self.warm_seconds + EVERY_SECONDS * self.plantings + 120


FULL = Course(1800, 20, 5400, tuple(BOOKS))
QUICK = Course(1500, 3, 1800, ("several ticks",))


@dataclass(frozen=True, slots=True)
class Row:
    """One pattern's scores: over which tape, at which size, and whether nulls made it."""

    kind: str
    tape: str
    size: str
    tally: Tally


@dataclass(slots=True)
class Card:
    """All rows, by the part of the scorecard that made them."""

    injected: list[Row] = field(default_factory=list)
    nulls: list[Row] = field(default_factory=list)
    real: list[Row] = field(default_factory=list)
    agreement: list[Row] = field(default_factory=list)
    rates: dict[str, dict[str, float]] = field(default_factory=dict)

    def pooled(self, kind: str, size: str) -> Tally:
        """Add up a pattern's scores at one size over all tapes."""
        total = Tally()
        for row in self.injected:
            if row.kind == kind and row.size == size:
                total.add(row.tally)
        return total


def steps_of(course: Course) -> int:
    """Count what a run's progress is counted in."""
    return len(course.books) * (len(KINDS) * len(SIZES) + 2) + 3


def injected(course: Course, card: Card) -> Iterator[None]:
    """Plant every kind at every size into every book; a step at a time."""
    for name in course.books:
        records = book(name, course.seed, course.seconds)
        for with_trades in (True, False):
            tape = name if with_trades else f"{name}, quotes only"
            ground = Ground.of(
                tape,
                records if with_trades else quotes_only(records),
                course.warm_seconds,
                EVERY_SECONDS,
            ).with_checkpoints(course.plantings)
            card.rates[tape] = ground.bare.rates_an_hour()
            yield
            yield from _planted(ground, [k for k in KINDS if k.needs_trades == with_trades], card)


def _planted(ground: Ground, kinds: list[Kind], card: Card) -> Iterator[None]:
    for kind in kinds:
        for size, strength in zip(SIZES, kind.strengths, strict=True):
            card.injected.append(
                Row(kind.name, ground.name, size, planted_tally(ground, kind, strength))
            )
            yield


def injected_into_tape(name: str, records: list[Record], card: Card) -> Iterator[None]:
    """Plant every kind that needs no other feed into calm stretches of a real tape."""
    ground = Ground.of(name, records, REAL_WARM_SECONDS, REAL_EVERY_SECONDS)
    ground = replace(ground, is_real=True)
    yield from _planted(ground, [kind for kind in KINDS if kind.needs_trades], card)


def agreement_rows(course: Course, plain: Definitions, card: Card) -> None:
    """Compare the engine with plain definitions on each book."""
    for name in course.books:
        records = book(name, course.seed + 2, AGREEMENT_SECONDS)
        card.agreement += [Row(kind, name, "", t) for kind, t in agreement(records, plain)]


def agreement_of_tape(name: str, records: list[Record], plain: Definitions, card: Card) -> None:
    """Compare the engine with plain definitions on a real tape's first part."""
    end_ms = records[0].stamp + TAPE_AGREEMENT_SECONDS * SECOND_MS
    part = [record for record in records if record.stamp <= end_ms]
    card.agreement += [Row(kind, name, "", t) for kind, t in agreement(part, plain)]


def null_rows(course: Course, card: Card) -> Iterator[None]:
    """Count what is found where nothing is; a step at a time."""
    seconds = course.null_seconds
    follows = findings(nulls.price_follows_flow(START_MS, seconds, course.seed))
    card.nulls.append(_null_row("absorption", NULL_MARKET, follows))
    yield
    for name in course.books:
        bare = findings(book(name, course.seed + 1, seconds))
        for kind in ("iceberg", "hidden_print", "sweep"):
            card.nulls.append(_null_row(kind, name, bare))
        shuffled = nulls.sign_randomised(book(name, course.seed + 1, seconds), course.seed)
        card.nulls.append(
            _null_row("momentum_shift", f"{name}, signs randomised", findings(shuffled))
        )
    yield


def null_of_tape(name: str, records: list[Record], card: Card) -> None:
    """Count what is found in a real tape whose drift was taken away."""
    shuffled = findings(nulls.sign_randomised(records, FULL.seed))
    card.nulls.append(_null_row("momentum_shift", f"{name}, signs randomised", shuffled))
    untied = findings(nulls.takers_randomised(records, FULL.seed))
    card.nulls.append(_null_row("absorption", f"{name}, takers randomised", untied))


def _null_row(kind: str, tape: str, found: Findings) -> Row:
    events = found.of_type(kind)
    return Row(kind, tape, "", Tally(Share(0, len(events)), hours=found.hours))
