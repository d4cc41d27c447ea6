"""A detector that fails in any hook is named, begins anew, and takes nothing else with it."""

import traceback
from collections.abc import Iterator

import pytest

from app.analysis.engine import Engine
from app.analysis.patterns.detector import Detector
from app.analysis.records import Batch, Trade
from app.analysis.results import TickResult
from tests.builders import second
from tests.strategies import Flavour

SECONDS = 60
DAMAGED_FROM = 5

# By hook: a pattern, the memory of its detector that fails there, what that becomes, and whether
# the feed has trades. No memory makes the hooks `on_jump` and `on_stamp_complete` fail.
FAILING: dict[str, tuple[str, str, object, bool]] = {
    "on_quote": ("pulling", "pulls", ["x", "x"], True),
    "on_enter": ("iceberg", "candidates", [], True),
    "on_resize": ("wall", "sides", [], True),
    "on_leave": ("refill_suspected", "sides", [], False),
    "on_trade": ("iceberg", "through_prices", [], True),
    "on_timer": ("stacking", "due_at", [], True),
    "on_second": ("absorption", "watches", [], True),
}


def detector_of(engine: Engine, pattern: str) -> Detector:
    return next(it for it in engine.state.detectors if it.pattern_type == pattern)


def analyses(damage: tuple[str, str, object] | None, *, trades: bool) -> Iterator[TickResult]:
    records = Flavour(11, 400, 0.3, 1.0, 0.05, 0.0, 1.0, 0.4).stream()
    engine = Engine.new("SPY")
    for end in range(1, SECONDS + 1):
        if damage is not None and end > DAMAGED_FROM:
            pattern, memory, value = damage
            setattr(detector_of(engine, pattern), memory, value)
        now = [it for it in records if second(end - 1) < it.stamp <= second(end)]
        kept = [it for it in now if trades or not isinstance(it, Trade)]
        yield engine.advance(Batch(kept, []), second(end))


@pytest.mark.parametrize("hook", FAILING)
def test_a_detector_that_fails_in_a_hook_is_named_and_stops_no_other(hook: str) -> None:
    finds, memory, value, trades = FAILING[hook]

    calm = list(analyses(None, trades=trades))
    spoiled = list(analyses((finds, memory, value), trades=trades))

    failed_in = {
        frame.name
        for said in spoiled
        for error in said.failed_detectors.values()
        for frame in traceback.extract_tb(error.__traceback__)
    }
    assert hook in failed_in
    for before, after in zip(calm, spoiled, strict=True):
        assert set(after.failed_detectors) <= {finds}
        assert after.metrics == before.metrics
        assert _others(after, finds) == _others(before, finds)
    failed_at = [said for said in spoiled if said.failed_detectors]
    assert all(said.quality["10s"]["failed_detectors"] == [finds] for said in failed_at)


def _others(said: TickResult, finds: str) -> list[object]:
    return [event for event in said.changed_events if event.type != finds]
