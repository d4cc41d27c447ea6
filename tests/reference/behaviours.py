"""`on`, `off` or `unknown: reason` of what goes on at one instant."""

from tests.reference.lives import Lives
from tests.reference.past import Past
from tests.reference.scales import Scale, Scales, Second, taker_flow

RISING = 6.0
WARMING = "unknown: warming"


Sums = dict[int, tuple[float, float]]


def behaviors(
    past: Past, scales: Scales, found: list[Lives], sums: Sums, as_of: int
) -> dict[str, str]:
    """All behaviours by name, and the directions where there are some."""
    said: dict[str, str] = {}
    by_type = {lives.type: lives for lives in found}
    removal = scales.named["removal"].before(as_of, 0.95)
    for side in ("bid", "ask"):
        usual = scales.named[f"{side}_size"].before(as_of, 0.5)
        stacking = _is_open(by_type["stacking"], side, as_of)
        said[f"{side}_stacking"] = _word(on=stacking, known=usual is not None)
        pulling = _is_open(by_type["pulling"], side, as_of)
        said[f"{side}_pulling"] = _word(on=pulling, known=removal is not None)
    second = scales.by_time.get(as_of)
    said["spread_tightening"] = _tightening(scales, by_type["spread_regime"], second, as_of)
    _say_momentum(scales, sums, second, as_of, said)
    _say_aggression(past, scales.named["taker_flow"], as_of, said)
    _say_pressure(scales, as_of, said)
    return said


def _word(*, on: bool, known: bool) -> str:
    if on:
        return "on"
    return "off" if known else WARMING


def _is_open(lives: Lives, side: str, as_of: int) -> bool:
    return any(event.side == side and event.is_open_at(as_of) for event in lives.events)


def _tightening(scales: Scales, regimes: Lives, second: Second | None, as_of: int) -> str:
    tight = any(
        event.is_open_at(as_of) and event.shown_at(as_of)[1].evidence["regime"] == "tight"
        for event in regimes.events
    )
    steep = scales.named["spread_slope"].before(as_of, 0.9)
    slope = None if second is None else second.slope
    steepens = steep is not None and slope is not None and slope > 0 and slope >= steep
    return _word(on=tight or steepens, known=steep is not None)


def _say_momentum(
    scales: Scales, sums: Sums, second: Second | None, as_of: int, said: dict[str, str]
) -> None:
    name = "momentum_building"
    if scales.drift_before(as_of) is None:
        said[name] = WARMING
        return
    if second is None:
        said[name] = "off"
        return
    up, down = sums[second.at]
    up_before, down_before = sums.get(second.at - 1000, (0.0, 0.0))
    grew = up > up_before if up > down else down > down_before
    said[name] = _word(on=max(up, down) > RISING and grew, known=True)
    if said[name] == "on":
        said["momentum_direction"] = "up" if up > down else "down"


def _say_aggression(past: Past, scale: Scale, as_of: int, said: dict[str, str]) -> None:
    large = scale.before(as_of, 0.95)
    flow = taker_flow(past, as_of, 10)
    for name, sign in (("aggressive_buying", 1), ("aggressive_selling", -1)):
        if not past.traded_by(as_of):
            said[name] = "unknown: no trades"
        else:
            said[name] = _word(
                on=large is not None and sign * flow > large, known=large is not None
            )


def _say_pressure(scales: Scales, as_of: int, said: dict[str, str]) -> None:
    large = scales.named["quote_flow"].before(as_of, 0.95)
    flow = scales.recent_log_flow(as_of)
    said["quote_pressure"] = _word(
        on=large is not None and abs(flow) > large, known=large is not None
    )
    if said["quote_pressure"] == "on":
        said["quote_pressure_direction"] = "up" if flow > 0 else "down"
