"""Create the detectors that the table of patterns lists."""

from importlib import import_module
from types import ModuleType
from typing import Final

from app.analysis.pattern_table import PATTERNS, Pattern
from app.analysis.patterns.detector import Detector


def _turn(row: Pattern) -> int:
    return row.turn


def _module_of(row: Pattern) -> ModuleType:
    return import_module(f"app.analysis.patterns.{row.detector.partition(':')[0]}")


def _class_of(row: Pattern) -> type[Detector]:
    found: type[Detector] = getattr(_module_of(row), row.detector.partition(":")[2])
    return found


_ROWS: Final = sorted(PATTERNS, key=_turn)
_CLASSES: Final[list[type[Detector]]] = [_class_of(row) for row in _ROWS]

DETECTOR_MODULES: Final[list[ModuleType]] = [_module_of(row) for row in _ROWS]


def new_detectors() -> list[Detector]:
    """Return one detector of each pattern, in the order in which they are called."""
    return [make() for make in _CLASSES]


def in_order(stored: list[Detector]) -> list[Detector]:
    """Return all detectors in today's order: those given, and a new one where none is."""
    return [_one_of(make, stored) for make in _CLASSES]


def _one_of(make: type[Detector], stored: list[Detector]) -> Detector:
    for detector in stored:
        if type(detector) is make:
            return detector
    return make()
