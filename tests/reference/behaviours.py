"""`on`, `off` or `unknown: reason` of what goes on at one instant."""

from tests.reference.by_second import Sums
from tests.reference.lives import Lives
from tests.reference.past import Past
from tests.reference.scales import Scale, Scales, taker_flow

RISING = 4.25
WARMING = "unknown: warming"


def behaviors(
    past: Past, scales: Scales, found: list[Lives], sums: Sums, as_of: int
) -> dict[str, str]:
    """All behaviours by name, and the directions where there are some."""
    said: dict[str, str] = {}
    by_type = {lives.type: lives for lives in found}
    removal = scales.named["removal"].through(as_of, 0.95)
    for side in ("bid", "ask"):
        usual = scales.named[f"{side}_size"].through(as_of, 0.5)
        stacking = _is_open(by_type["stacking"], side, as_of)
        said[f"{side}_stacking"] = _word(on=stacking, known=usual is not None)
        pulling = _is_open(by_type["pulling"], side, as_of)
        said[f"{side}_pulling"] = _word(on=pulling, known=removal is not None)
    said["spread_tightening"] = _tightening(scales, by_type["spread_regime"], as_of)
    _say_momentum(scales, sums, as_of, said)
    _say_aggression(past, scales.named["taker_flow"], as_of, said)
    _say_pressure(scales, as_of, said)
    return said


def _word(*, on: bool, known: bool) -> str:
    if on:
        return "on"
    return "off" if known else WARMING


def _is_open(lives: Lives, side: str, as_of: int) -> bool:
    return any(event.side == side and event.is_open_at(as_of) for event in lives.events)


def _tightening(scales: Scales, regimes: Lives, as_of: int) -> str:
    tight = any(event.is_open_at(as_of) and event.side == "tight" for event in regimes.events)
    steep = scales.named["spread_slope"].through(as_of, 0.9)
    usual = scales.named["spread"].through(as_of, 0.5)
    second = scales.by_time.get(as_of)
    if steep is None or not usual or second is None or second.narrowed is None:
        return _word(on=tight, known=False)
    slope = second.narrowed / usual
    return _word(on=tight or (slope > 0 and slope >= steep), known=True)


def _say_momentum(scales: Scales, sums: Sums, as_of: int, said: dict[str, str]) -> None:
    name = "momentum_building"
    if not scales.knows_drift(as_of):
        said[name] = WARMING
        return
    said[name] = "off"
    if as_of in sums:
        climb = max(sums[as_of], key=lambda one: one.value)
        if climb.value > RISING and climb.grew:
            said[name], said["momentum_direction"] = "on", climb.name


def _say_aggression(past: Past, scale: Scale, as_of: int, said: dict[str, str]) -> None:
    large = scale.through(as_of, 0.95)
    flow = taker_flow(past, as_of, 10)
    for name, sign in (("aggressive_buying", 1), ("aggressive_selling", -1)):
        if not past.traded_by(as_of):
            said[name] = "unknown: no trades"
        else:
            on = large is not None and sign * flow > large
            said[name] = _word(on=on, known=large is not None)


def _say_pressure(scales: Scales, as_of: int, said: dict[str, str]) -> None:
    large = scales.named["quote_flow"].through(as_of, 0.95)
    flow = scales.recent_log_flow(as_of)
    on = large is not None and abs(flow) > large
    said["quote_pressure"] = _word(on=on, known=large is not None)
    if on:
        said["quote_pressure_direction"] = "up" if flow > 0 else "down"
