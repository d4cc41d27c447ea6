"""Open events and flows to words: on, off, or unknown with the reason."""

from app.analysis.baselines import DRIFT_SAMPLES
from app.analysis.detector_context import DetectorContext
from app.analysis.patterns.detector import Detector
from app.analysis.patterns.momentum import MomentumShifts
from app.analysis.quantiles import DecayedHistogram
from app.analysis.touch import SIDE_NAMES

Behaviors = dict[str, str]


def compute_behaviors(context: DetectorContext, detectors: list[Detector]) -> Behaviors:
    """Say what the book is doing now; definitions in docs/patterns.md, Behaviours."""
    live = {(event.type, event.side) for event in context.events.live.values()}
    words = {
        f"{side}_{kind}": "on" if (kind, side) in live else _off(context, kind, side)
        for kind in ("stacking", "pulling")
        for side in SIDE_NAMES
    }
    words["spread_tightening"] = _tightening(context)
    words.update(_momentum(context, _momentum_of(detectors)))
    words.update(_aggression(context))
    words.update(_quote_pressure(context))
    return words


def _warming(scale: DecayedHistogram) -> str:
    return f"unknown: warming, {scale.n} of {scale.samples_needed(0)} samples"


def _off(context: DetectorContext, kind: str, side: str) -> str:
    usual = context.baselines
    scale = usual.removal if kind == "pulling" else usual.sizes[0 if side == "bid" else 1]
    return _warming(scale) if scale.quantile(0) is None else "off"


def _tightening(context: DetectorContext) -> str:
    live = context.events.live.values()
    if any(e.type == "spread_regime" and e.evidence["regime"] == "tight" for e in live):
        return "on"
    slope, usual = context.baselines.tightening, context.thresholds.spread_slope
    if usual is None:
        return _warming(context.baselines.spread_slope)
    if slope is None:
        return "unknown: no valid spread in all of the last 10 s"
    return "on" if slope > 0 and slope >= usual else "off"


def _momentum_of(detectors: list[Detector]) -> MomentumShifts | None:
    for detector in detectors:
        if isinstance(detector, MomentumShifts):
            return detector
    return None


def _momentum(context: DetectorContext, momentum: MomentumShifts | None) -> Behaviors:
    drift = context.baselines.drift
    if context.thresholds.drift is None:
        if drift.n >= DRIFT_SAMPLES:
            return {"momentum_building": "off"}
        return {"momentum_building": f"unknown: warming, {drift.n} of {DRIFT_SAMPLES} samples"}
    direction = None if momentum is None else momentum.building
    if direction is None:
        return {"momentum_building": "off"}
    return {"momentum_building": "on", "momentum_direction": direction}


def _aggression(context: DetectorContext) -> Behaviors:
    names = ("aggressive_buying", "aggressive_selling")
    if not context.trades_seen:
        return dict.fromkeys(names, "unknown: no trades come")
    usual = context.thresholds.taker_flow
    if usual is None:
        return dict.fromkeys(names, _warming(context.baselines.taker_flow))
    flow = context.baselines.flow_10s
    return {
        names[0]: "on" if flow > usual else "off",
        names[1]: "on" if -flow > usual else "off",
    }


def _quote_pressure(context: DetectorContext) -> Behaviors:
    usual = context.thresholds.quote_flow
    if usual is None:
        return {"quote_pressure": _warming(context.baselines.quote_flow)}
    flow = context.baselines.log_ofi_10s
    if abs(flow) <= usual:
        return {"quote_pressure": "off"}
    return {"quote_pressure": "on", "quote_pressure_direction": "up" if flow > 0 else "down"}
