"""Plants one kind of happening again and again into a stretch of a tape."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from random import Random

import msgspec

from app.records import Quote, Record
from app.scorecard.planting.stretch import Stretch
from app.scorecard.truths import Truth


@dataclass(frozen=True, slots=True)
class Edit:
    """Records that take the place of those in (start, end], and what they truly hold.

    All later prices are `price_shift` higher, in 1e-8: a market that has moved goes on from there.
    """

    start_ms: float
    end_ms: float
    records: Sequence[Record]
    truths: Sequence[Truth]
    price_shift: int = 0


@dataclass(frozen=True, slots=True)
class Spot:
    """Where, how large and by which draw something is planted."""

    stretch: Stretch
    at_ms: float
    strength: float
    draw: Random


Planter = Callable[[Spot], Edit | None]


@dataclass(frozen=True, slots=True)
class Planted:
    """A tape with happenings planted into it; `records` begin where planting begins."""

    records: list[Record]
    truths: list[Truth] = field(default_factory=list)


def plant(
    stretch: Stretch, planter: Planter, strength: float, draw: Random, gap_ms: float
) -> Planted:
    """Plant wherever it can be done, with at least `gap_ms` between two happenings."""
    edits: list[Edit] = []
    at_ms = stretch.plant_from_ms + gap_ms
    while at_ms < stretch.end_ms - gap_ms:
        edit = planter(Spot(stretch, at_ms, strength, draw))
        if edit is None or edit.end_ms > stretch.end_ms:
            at_ms += 1000.0
            continue
        edits.append(edit)
        at_ms = edit.end_ms + gap_ms * draw.uniform(1.0, 1.5)
    return _edited(stretch, edits)


def _edited(stretch: Stretch, edits: Sequence[Edit]) -> Planted:
    planted = Planted([])
    at_ms, shift = stretch.plant_from_ms, 0
    for edit in edits:
        planted.records.extend(_shifted(stretch.between(at_ms, edit.start_ms), shift))
        planted.records.extend(_shifted(edit.records, shift))
        planted.truths.extend(_moved(truth, shift) for truth in edit.truths)
        at_ms, shift = edit.end_ms, shift + edit.price_shift
    planted.records.extend(_shifted(stretch.between(at_ms, stretch.end_ms), shift))
    for seq, record in enumerate(planted.records):
        record.seq = 10**9 + seq
    return planted


def _moved(truth: Truth, shift: int) -> Truth:
    price = None if truth.price is None else truth.price + shift
    return Truth(truth.kind, truth.side, truth.start_ms, truth.end_ms, price, truth.form)


def _shifted(records: Sequence[Record], shift: int) -> list[Record]:
    """Copy records, all prices moved."""
    return [_shifted_one(record, shift) for record in records]


def _shifted_one(record: Record, shift: int) -> Record:
    if isinstance(record, Quote):
        bid, ask = record.bid_price + shift, record.ask_price + shift
        return msgspec.structs.replace(record, bid_price=bid, ask_price=ask)
    return msgspec.structs.replace(record, price=record.price + shift)
