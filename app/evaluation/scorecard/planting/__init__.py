"""Happenings planted into a stretch of a tape, at known times and sizes.

Shares no code with the detectors: what is usual for the ticker is measured here again, plainly.
"""

from app.evaluation.scorecard.planting.kinds import KINDS, Kind
from app.evaluation.scorecard.planting.planter import Planted, plant
from app.evaluation.scorecard.planting.tape_section import Stretch

__all__ = ["KINDS", "Kind", "Planted", "Stretch", "plant"]
