"""Plants one kind of happening again and again into a section of a tape."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from random import Random

from app.analysis.records import Quote, Record
from app.evaluation.scorecard.ground_truth import TrueEvent
from app.evaluation.scorecard.planting.tape_section import TapeSection


@dataclass(frozen=True, slots=True)
class TapeEdit:
    """Records that take the place of those in (start, end], and what they truly hold.

    All later prices are `price_shift` higher, in 1e-8: a market that has moved goes on from there.
    """

    start_ms: float
    end_ms: float
    records: Sequence[Record]
    truths: Sequence[TrueEvent]
    price_shift: int = 0


@dataclass(frozen=True, slots=True)
class PlantingSite:
    """Where, how large and by which draw something is planted."""

    section: TapeSection
    at_ms: float
    strength: float
    draw: Random


Planter = Callable[[PlantingSite], TapeEdit | None]


@dataclass(frozen=True, slots=True)
class PlantedSection:
    """A piece of a tape with one happening planted into it."""

    records: list[Record]
    truths: list[TrueEvent]
    end_ms: float


SEARCH_SECONDS = 25


def plant(  # noqa: PLR0913, PLR0917 - what, where and how large
    section: TapeSection,
    planter: Planter,
    strength: float,
    draw: Random,
    from_ms: float,
    tail_ms: float,
) -> PlantedSection | None:
    """Plant once, some seconds after `from_ms`, where it can be done.

    The piece begins at `from_ms` and goes on for `tail_ms` after what was planted.
    """
    for seconds in range(3, SEARCH_SECONDS):
        at_ms = from_ms + 1000.0 * (seconds + draw.random())
        edit = planter(PlantingSite(section, at_ms, strength, draw))
        if edit is not None and edit.end_ms + tail_ms < section.end_ms:
            return _apply_edit(section, edit, from_ms, edit.end_ms + tail_ms)
    return None


def _apply_edit(
    section: TapeSection, edit: TapeEdit, from_ms: float, end_ms: float
) -> PlantedSection:
    records = _shift_all(section.between(from_ms, edit.start_ms), 0)
    records += edit.records
    records += _shift_all(section.between(edit.end_ms, end_ms), edit.price_shift)
    for seq, record in enumerate(records):
        record.seq = 10**12 + seq
    return PlantedSection(records, list(edit.truths), end_ms)


def _shift_all(records: Sequence[Record], shift: int) -> list[Record]:
    """Copy records, all prices moved."""
    return [shift_prices(record, shift) for record in records]


def shift_prices(record: Record, shift: int) -> Record:
    """Copy a record, its prices moved."""
    if isinstance(record, Quote):
        bid, ask = record.bid_price + shift, record.ask_price + shift
        return replace(record, bid_price=bid, ask_price=ask)
    return replace(record, price=record.price + shift)
