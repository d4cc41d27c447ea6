"""Plant patterns into a section of a tape, at known times and sizes.

This package shares no code with the detectors; it measures the ticker's baselines by itself.
"""

from app.evaluation.scorecard.planting.kinds import KINDS, PlantingKind
from app.evaluation.scorecard.planting.planter import PlantedSection, plant
from app.evaluation.scorecard.planting.tape_section import TapeSection

__all__ = ["KINDS", "PlantedSection", "PlantingKind", "TapeSection", "plant"]
