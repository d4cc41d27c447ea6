"""Open events and flows to words: on, off, or unknown with the reason."""

from app.analysis.baselines import DRIFT_SAMPLES
from app.analysis.detector_context import Scene
from app.analysis.patterns.momentum import MomentumShifts
from app.analysis.quantiles import Scale

Behaviors = dict[str, str]


def behaviors_of(scene: Scene, momentum: MomentumShifts) -> Behaviors:
    """Say what the book is doing now; definitions in docs/patterns.md, Behaviours."""
    live = {(event.type, event.side) for event in scene.events.live.values()}
    words = {
        f"{side}_{kind}": "on" if (kind, side) in live else _off(scene, kind, side)
        for kind in ("stacking", "pulling")
        for side in ("bid", "ask")
    }
    words["spread_tightening"] = _tightening(scene)
    words.update(_momentum(scene, momentum))
    words.update(_aggression(scene))
    words.update(_quote_pressure(scene))
    return words


def _warming(scale: Scale) -> str:
    return f"unknown: warming, {scale.n} of {scale.needed(0)} samples"


def _off(scene: Scene, kind: str, side: str) -> str:
    usual = scene.usual
    scale = usual.removal if kind == "pulling" else usual.sizes[0 if side == "bid" else 1]
    return _warming(scale) if scale.quantile(0) is None else "off"


def _tightening(scene: Scene) -> str:
    live = scene.events.live.values()
    if any(e.type == "spread_regime" and e.evidence["regime"] == "tight" for e in live):
        return "on"
    slope, usual = scene.usual.tightening, scene.past.spread_slope
    if usual is None:
        return _warming(scene.usual.spread_slope)
    if slope is None:
        return "unknown: no valid spread in all of the last 10 s"
    return "on" if slope > 0 and slope >= usual else "off"


def _momentum(scene: Scene, momentum: MomentumShifts) -> Behaviors:
    drift = scene.usual.drift
    if scene.past.drift is None:
        if drift.n >= DRIFT_SAMPLES:
            return {"momentum_building": "off"}
        return {"momentum_building": f"unknown: warming, {drift.n} of {DRIFT_SAMPLES} samples"}
    direction = momentum.building
    if direction is None:
        return {"momentum_building": "off"}
    return {"momentum_building": "on", "momentum_direction": direction}


def _aggression(scene: Scene) -> Behaviors:
    names = ("aggressive_buying", "aggressive_selling")
    if not scene.trades_seen:
        return dict.fromkeys(names, "unknown: no trades come")
    usual = scene.past.taker_flow
    if usual is None:
        return dict.fromkeys(names, _warming(scene.usual.taker_flow))
    flow = scene.usual.flow_10s
    return {
        names[0]: "on" if flow > usual else "off",
        names[1]: "on" if -flow > usual else "off",
    }


def _quote_pressure(scene: Scene) -> Behaviors:
    usual = scene.past.quote_flow
    if usual is None:
        return {"quote_pressure": _warming(scene.usual.quote_flow)}
    flow = scene.usual.log_ofi_10s
    if abs(flow) <= usual:
        return {"quote_pressure": "off"}
    return {"quote_pressure": "on", "quote_pressure_direction": "up" if flow > 0 else "down"}
