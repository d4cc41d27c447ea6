"""Plant one pattern into a section of a tape."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from random import Random

from app.analysis.records import Quote, Record
from app.evaluation.scorecard.ground_truth import TrueEvent
from app.evaluation.scorecard.planting.tape_section import TapeSection


@dataclass(frozen=True, slots=True)
class TapeEdit:
    """Records that replace those in (start, end], and the true events in them.

    All later prices are shifted by `price_shift`, in price units, so that a price move persists.
    """

    start_ms: float
    end_ms: float
    records: Sequence[Record]
    truths: Sequence[TrueEvent]
    price_shift: int = 0


@dataclass(frozen=True, slots=True)
class PlantingSite:
    """The place, the strength and the random draws of a planting."""

    section: TapeSection
    at_ms: float
    strength: float
    draw: Random


Planter = Callable[[PlantingSite], TapeEdit | None]


@dataclass(frozen=True, slots=True)
class PlantedSection:
    """A section of a tape with one planted pattern."""

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
    """Plant once, at the first suitable time some seconds after `from_ms`, None without one.

    The section starts at `from_ms` and ends `tail_ms` after the planting.
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
    """Copy records with shifted prices."""
    return [shift_prices(record, shift) for record in records]


def shift_prices(record: Record, shift: int) -> Record:
    """Copy a record with shifted prices."""
    if isinstance(record, Quote):
        bid, ask = record.bid_price + shift, record.ask_price + shift
        return replace(record, bid_price=bid, ask_price=ask)
    return replace(record, price=record.price + shift)
