"""The scorecard's rows, and the functions that compute each part."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from app.analysis.bars import SECOND_MS
from app.analysis.records import Record
from app.evaluation.scorecard import nulls
from app.evaluation.scorecard.agreement import ReferenceFactory, score_agreement
from app.evaluation.scorecard.calibration import Calibration, calibrate
from app.evaluation.scorecard.folding import Findings, find_events, find_events_with_impact_of
from app.evaluation.scorecard.planted import PlantingTape, score_plantings
from app.evaluation.scorecard.planting import KINDS, PlantingKind
from app.evaluation.scorecard.precision_recall import PrecisionRecall, Proportion
from app.evaluation.scorecard.simulated_books import (
    BOOKS,
    START_MS,
    quotes_only,
    simulated_book,
    simulated_day,
)

SIZES = ("small", "medium", "large")
PLANTING_INTERVAL_SECONDS = 90
TAPE_WARM_SECONDS = 1800
TAPE_PLANTING_INTERVAL_SECONDS = 600
AGREEMENT_SECONDS = 1500
TAPE_AGREEMENT_SECONDS = 5400
NULL_MARKET = "price follows flow"


@dataclass(frozen=True, slots=True)
class RunSize:
    """The size of a run: warm-up, plantings, length of null tapes, books."""

    warm_seconds: int
    plantings: int
    null_seconds: int
    books: tuple[str, ...]
    seed: int = 5
    calibrated_seconds: int = 23_400
    """Length of the simulated days on which ranks and return periods are calibrated; 0: none."""

    @property
    def seconds(self) -> int:
        """Length of a book for plantings, in seconds."""
        return self.warm_seconds + PLANTING_INTERVAL_SECONDS * self.plantings + 120


FULL = RunSize(1800, 20, 5400, tuple(BOOKS))
QUICK = RunSize(1500, 3, 1800, ("several ticks",), calibrated_seconds=0)
CALIBRATED_TICKERS = ("AAPL", "TSLA", "SPY", "BTC-USD")
"""Simulated tickers of four kinds of book: wide, several ticks, one tick, and a crypto pair."""


@dataclass(frozen=True, slots=True)
class ScoreRow:
    """One pattern's scores on one tape at one size."""

    kind: str
    tape: str
    size: str
    scores: PrecisionRecall


@dataclass(slots=True)
class Scorecard:
    """All rows, by part of the scorecard."""

    planted: list[ScoreRow] = field(default_factory=list)
    nulls: list[ScoreRow] = field(default_factory=list)
    real: list[ScoreRow] = field(default_factory=list)
    agreement: list[ScoreRow] = field(default_factory=list)
    rates: dict[str, dict[str, float]] = field(default_factory=dict)
    calibrations: list[Calibration] = field(default_factory=list)

    def pooled(self, kind: str, size: str) -> PrecisionRecall:
        """Add up a pattern's scores at one size over all tapes."""
        total = PrecisionRecall()
        for row in self.planted:
            if row.kind == kind and row.size == size:
                total.add(row.scores)
        return total


def count_steps(run_size: RunSize) -> int:
    """Count the steps of a run, for the progress bar."""
    days = len(CALIBRATED_TICKERS) if run_size.calibrated_seconds else 0
    return len(run_size.books) * (len(KINDS) * len(SIZES) + 2) + 3 + days


def plant_into_books(run_size: RunSize, scorecard: Scorecard) -> Iterator[None]:
    """Plant every kind at every size into every book; yield after each step."""
    for name in run_size.books:
        records = simulated_book(name, run_size.seed, run_size.seconds)
        for with_trades in (True, False):
            tape = name if with_trades else f"{name}, quotes only"
            planting_tape = PlantingTape.of(
                tape,
                records if with_trades else quotes_only(records),
                run_size.warm_seconds,
                PLANTING_INTERVAL_SECONDS,
            ).with_checkpoints(run_size.plantings)
            scorecard.rates[tape] = planting_tape.unplanted.rates_an_hour()
            yield
            yield from _plant_all_kinds(
                planting_tape, [k for k in KINDS if k.needs_trades == with_trades], scorecard
            )


def _plant_all_kinds(
    planting_tape: PlantingTape, kinds: list[PlantingKind], scorecard: Scorecard
) -> Iterator[None]:
    for kind in kinds:
        for size, strength in zip(SIZES, kind.strengths, strict=True):
            scorecard.planted.append(
                ScoreRow(
                    kind.name,
                    planting_tape.name,
                    size,
                    score_plantings(planting_tape, kind, strength),
                )
            )
            yield


def plant_into_tape(name: str, records: list[Record], scorecard: Scorecard) -> Iterator[None]:
    """Plant every kind that has trades into calm sections of a real tape."""
    planting_tape = PlantingTape.of(
        name, records, TAPE_WARM_SECONDS, TAPE_PLANTING_INTERVAL_SECONDS
    )
    planting_tape = replace(planting_tape, is_real=True)
    yield from _plant_all_kinds(
        planting_tape, [kind for kind in KINDS if kind.needs_trades], scorecard
    )


def score_agreement_on_books(
    run_size: RunSize, reference: ReferenceFactory, scorecard: Scorecard
) -> None:
    """Compare the engine with the reference implementation on each book."""
    for name in run_size.books:
        records = simulated_book(name, run_size.seed + 2, AGREEMENT_SECONDS)
        scorecard.agreement += [
            ScoreRow(kind, name, "", t) for kind, t in score_agreement(records, reference)
        ]


def score_agreement_on_tape(
    name: str, records: list[Record], reference: ReferenceFactory, scorecard: Scorecard
) -> None:
    """Compare the engine with the reference implementation on the first part of a tape."""
    end_ms = records[0].stamp + TAPE_AGREEMENT_SECONDS * SECOND_MS
    part = [record for record in records if record.stamp <= end_ms]
    scorecard.agreement += [
        ScoreRow(kind, name, "", t) for kind, t in score_agreement(part, reference)
    ]


def score_null_tapes(run_size: RunSize, scorecard: Scorecard) -> Iterator[None]:
    """Count false alarms on null tapes; yield after each step."""
    seconds = run_size.null_seconds
    follows = find_events(nulls.price_follows_flow(START_MS, seconds, run_size.seed))
    scorecard.nulls.append(_null_row("absorption", NULL_MARKET, follows))
    yield
    for name in run_size.books:
        unplanted = find_events(simulated_book(name, run_size.seed + 1, seconds))
        for kind in ("iceberg", "hidden_print", "sweep"):
            scorecard.nulls.append(_null_row(kind, name, unplanted))
        shuffled = nulls.sign_randomised(
            simulated_book(name, run_size.seed + 1, seconds), run_size.seed
        )
        scorecard.nulls.append(
            _null_row("momentum_shift", f"{name}, signs randomised", find_events(shuffled))
        )
    yield


def calibrate_on_days(run_size: RunSize, scorecard: Scorecard) -> Iterator[None]:
    """Calibrate ranks and return periods on simulated days; yield after each."""
    for ticker in CALIBRATED_TICKERS if run_size.calibrated_seconds else ():
        records = simulated_day(ticker, run_size.seed, run_size.calibrated_seconds)
        scorecard.calibrations.append(calibrate(f"simulated {ticker}", records))
        yield


def score_nulls_of_tape(name: str, records: list[Record], scorecard: Scorecard) -> None:
    """Count false alarms on a real tape with randomised signs."""
    shuffled = find_events(nulls.sign_randomised(records, FULL.seed))
    scorecard.nulls.append(_null_row("momentum_shift", f"{name}, signs randomised", shuffled))
    untied = nulls.takers_randomised(records, FULL.seed)
    scorecard.nulls += [
        _null_row("absorption", f"{name}, takers randomised", find_events(untied)),
        _null_row(
            "absorption",
            f"{name}, takers randomised, impact of the real tape",
            find_events_with_impact_of(records, untied),
        ),
    ]


def _null_row(kind: str, tape: str, found: Findings) -> ScoreRow:
    events = found.of_type(kind)
    return ScoreRow(kind, tape, "", PrecisionRecall(Proportion(0, len(events)), hours=found.hours))
