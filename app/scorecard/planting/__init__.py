"""Happenings planted into a stretch of a tape, at known times and sizes.

Shares no code with the detectors: what is usual for the ticker is measured here again, plainly.
"""

from app.scorecard.planting.kinds import KINDS, Kind
from app.scorecard.planting.planter import Planted, plant
from app.scorecard.planting.stretch import Stretch

__all__ = ["KINDS", "Kind", "Planted", "Stretch", "plant"]
