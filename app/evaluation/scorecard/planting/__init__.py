"""Happenings planted into a section of a tape, at known times and sizes.

Shares no code with the detectors: what is usual for the ticker is measured here again, plainly.
"""

from app.evaluation.scorecard.planting.kinds import KINDS, PlantingKind
from app.evaluation.scorecard.planting.planter import PlantedSection, plant
from app.evaluation.scorecard.planting.tape_section import TapeSection

__all__ = ["KINDS", "PlantedSection", "PlantingKind", "TapeSection", "plant"]
