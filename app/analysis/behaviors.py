"""Compute behaviours from open events and flows: on, off, or unknown with the reason."""

from app.analysis.baselines import MIN_DRIFT_SAMPLES
from app.analysis.detector_context import DetectorContext
from app.analysis.patterns.detector import Detector
from app.analysis.patterns.momentum import MomentumShifts
from app.analysis.quantiles import DecayedHistogram
from app.analysis.touch import SIDE_NAMES

Behaviors = dict[str, str]


def compute_behaviors(context: DetectorContext, detectors: list[Detector]) -> Behaviors:
    """Return the state of each behaviour by name; definitions in docs/patterns.md, Behaviours."""
    live = {(event.type, event.side) for event in context.events.live.values()}
    behaviors = {
        f"{side}_{kind}": "on" if (kind, side) in live else _off_or_warming(context, kind, side)
        for kind in ("stacking", "pulling")
        for side in SIDE_NAMES
    }
    behaviors["spread_tightening"] = _tightening(context)
    behaviors.update(_momentum(context, _momentum_of(detectors)))
    behaviors.update(_aggression(context))
    behaviors.update(_quote_pressure(context))
    return behaviors


def _unknown_while_warming(histogram: DecayedHistogram) -> str:
    return f"unknown: warming, {histogram.n} of {histogram.samples_needed(0)} samples"


def _off_or_warming(context: DetectorContext, kind: str, side: str) -> str:
    baselines = context.baselines
    histogram = (
        baselines.removal if kind == "pulling" else baselines.sizes[0 if side == "bid" else 1]
    )
    return _unknown_while_warming(histogram) if histogram.quantile(0) is None else "off"


def _tightening(context: DetectorContext) -> str:
    live = context.events.live.values()
    if any(e.type == "spread_regime" and e.side == "tight" for e in live):
        return "on"
    slope, threshold = context.baselines.tightening, context.thresholds.spread_slope
    if threshold is None:
        return _unknown_while_warming(context.baselines.spread_slope)
    if slope is None:
        return "unknown: no valid spread in all of the last 10 s"
    return "on" if slope > 0 and slope >= threshold else "off"


def _momentum_of(detectors: list[Detector]) -> MomentumShifts | None:
    for detector in detectors:
        if isinstance(detector, MomentumShifts):
            return detector
    return None


def _momentum(context: DetectorContext, momentum: MomentumShifts | None) -> Behaviors:
    drift = context.baselines.drift
    if context.thresholds.drift is None:
        if drift.n >= MIN_DRIFT_SAMPLES:
            return {"momentum_building": "off"}
        return {"momentum_building": f"unknown: warming, {drift.n} of {MIN_DRIFT_SAMPLES} samples"}
    direction = None if momentum is None else momentum.building
    if direction is None:
        return {"momentum_building": "off"}
    return {"momentum_building": "on", "momentum_direction": direction}


def _aggression(context: DetectorContext) -> Behaviors:
    names = ("aggressive_buying", "aggressive_selling")
    if not context.trades_seen:
        return dict.fromkeys(names, "unknown: no trades come")
    threshold = context.thresholds.taker_flow
    if threshold is None:
        return dict.fromkeys(names, _unknown_while_warming(context.baselines.taker_flow))
    flow = context.baselines.flow_10s
    return {
        names[0]: "on" if flow > threshold else "off",
        names[1]: "on" if -flow > threshold else "off",
    }


def _quote_pressure(context: DetectorContext) -> Behaviors:
    threshold = context.thresholds.quote_flow
    if threshold is None:
        return {"quote_pressure": _unknown_while_warming(context.baselines.quote_flow)}
    flow = context.baselines.log_ofi_10s
    if abs(flow) <= threshold:
        return {"quote_pressure": "off"}
    return {"quote_pressure": "on", "quote_pressure_direction": "up" if flow > 0 else "down"}
