"""Walls, stackings and the suspected forms: what one visit of a best price shows."""

from dataclasses import dataclass
from itertools import pairwise
from statistics import median

from tests.reference.lives import RECORD, TIMER, Evidence, Happening, Lives, Moment
from tests.reference.past import ASK, BID, SIDE_NAMES, Past, Stretch, Visit, size_of
from tests.reference.scales import Scales

AGE_MS = 2000
ELAPSED_MS = 60_000
REFILL_MS = 500
REFILLS_WITHIN_MS = 60_000


@dataclass
class Step:
    """A quote of a visit, or one of the prints that took from it."""

    at: float
    position: int
    size: float  # displayed from then on
    less: float = 0.0
    more: float = 0.0
    traded: float = 0.0


def steps_of(past: Past, visit: Visit) -> list[Step]:
    """Quotes of the visit, all of which show its price, in order."""
    found: list[Step] = []
    size = size_of(past.quotes[visit.first], visit.side)
    for index in range(visit.first, visit.last + 1):
        now = size_of(past.quotes[index], visit.side)
        at, position = past.quotes[index].stamp, past.quote_positions[index]
        found.append(Step(at, position, now, max(0.0, size - now), max(0.0, now - size)))
        size = now
    return found


def all_visits(past: Past) -> list[tuple[Stretch, list[Visit]]]:
    """Visits by their stretch."""
    return [
        (stretch, past.visits(BID, stretch) + past.visits(ASK, stretch))
        for stretch in past.stretches
    ]


def size_at(steps: list[Step], at: float) -> float:
    """Return the size displayed after the records of an instant."""
    return [step.size for step in steps if step.at <= at][-1]


def stands_at(visit: Visit, at: float) -> bool:
    """Tell whether the visit goes on after the records of an instant."""
    return visit.end is None or visit.end > at


def untraded(past: Past, position: int) -> bool:
    """Tell whether no trade was seen before a place in the stream."""
    return not past.prints or past.prints[0].position > position


# --- wall --------------------------------------------------------------------------------------


@dataclass
class Height:
    """A run of records at or over the threshold that was in force at its first."""

    start: Step
    theta: float
    usual: float
    peak: float
    traded: float = 0.0
    removed: float = 0.0
    stands: bool = False

    @property
    def evidence(self) -> Evidence:
        """What is shown of it."""
        return {
            "size_shares": self.peak,
            "threshold_shares": self.theta,
            "median_shares": self.usual,
            "traded_shares": self.traded,
            "removed_shares": self.removed,
        }


def walls(past: Past, scales: Scales) -> Lives:
    """Unusually large sizes that stand."""
    lives = Lives("wall")
    for stretch, visits in all_visits(past):
        for visit in visits:
            _walls_of(past, scales, lives, visit)
        lives.end(stretch)
    return lives


def _walls_of(past: Past, scales: Scales, lives: Lives, visit: Visit) -> None:
    """Follow a visit record by record; `first` is the first threshold that its size reached."""
    key = (visit.side, visit.first)
    height: Height | None = None
    first = peak = 0.0
    steps = sorted(steps_of(past, visit) + _takings(past, visit), key=lambda step: step.position)
    for step in steps:
        _raise_wall(lives, visit, height, step.at)
        if step.traded:
            if height is not None:
                height.traded += step.traded
                _show_wall(lives, key, height, step)
            continue
        peak = max(peak, step.size) if first else 0.0
        looked_at = step.less or step.more or step.position == past.quote_positions[visit.first]
        height = _follow_wall(past, lives, key, height, step)
        if height is None and looked_at and not _closed_at(lives, key, step):
            height = _begun(scales, visit, step, peak)
        if height is not None:
            first = first or height.theta
            peak = height.peak = max(peak, step.size)
            _show_wall(lives, key, height, step)
    if visit.end is None or visit.end_index is None:
        _raise_wall(lives, visit, height, float("inf"))
        return
    _raise_wall(lives, visit, height, visit.end)
    if first:
        moment = (visit.end, RECORD, past.quote_positions[visit.end_index])
        lives.candidate(moment, peak / first)
        if height is not None:
            _end_wall(past, lives, visit, height, [s for s in steps if not s.traded][-1].size)


def _begun(scales: Scales, visit: Visit, step: Step, peak: float) -> Height | None:
    scale = scales.named[SIDE_NAMES[visit.side] + "_size"]
    large, usual = scale.before(step.at, 0.95), scale.before(step.at, 0.5)
    if large is None or usual is None or step.size < max(large, 3 * usual):
        return None
    return Height(step, max(large, 3 * usual), usual, max(peak, step.size))


def _takings(past: Past, visit: Visit) -> list[Step]:
    """Return prints at the visit's price that took from its side while it stood."""
    start = past.quote_positions[visit.first]
    return [
        Step(one.stamp, one.position, 0.0, traded=one.size)
        for one in past.prints_between(start, visit.over)
        if one.takes(visit.side) and one.price == visit.price
    ]


def _raise_wall(lives: Lives, visit: Visit, height: Height | None, before: float) -> None:
    """Open a wall, or let it go on, once its size has stood for 2 s."""
    if height is None or height.stands or height.start.at + AGE_MS >= before:
        return
    height.stands = True
    key, at, start = (visit.side, visit.first), height.start.at + AGE_MS, height.start.at
    event = lives.living(key, at)
    if event is None:
        event = lives.open(key, visit.side, start, at, (visit.price, visit.price), 1.0, "C")
    event.closing = None
    event.show((at, TIMER, 0), height.peak / height.theta, height.evidence)


def _show_wall(lives: Lives, key: object, height: Height, step: Step) -> None:
    event = lives.living(key, step.at)
    if height.stands and event is not None and event.is_open:
        moment = (step.at, RECORD, step.position)
        event.show(moment, height.peak / height.theta, height.evidence)


def _follow_wall(
    past: Past, lives: Lives, key: object, height: Height | None, step: Step
) -> Height | None:
    """Return the run if it goes on with a quote; a wall closes below half of its threshold."""
    if height is None:
        return None
    height.removed += step.less
    if not height.stands:
        return height if step.size >= height.theta else None
    if step.size >= height.theta / 2:
        return height
    _show_wall(lives, key, height, step)
    event = lives.living(key, step.at)
    if event is not None:
        event.close(step.at, _how_removed(past, height, step.position))
        event.notes = [step.position]
    return None


def _closed_at(lives: Lives, key: object, step: Step) -> bool:
    """Tell whether this record closed the wall."""
    event = lives.latest.get(key)
    return event is not None and event.notes == [step.position]


def _how_removed(past: Past, height: Height, position: int) -> str:
    if untraded(past, position):
        return "removed"
    share = height.traded / height.removed
    if share >= 0.75:
        return "consumed"
    return "pulled" if share < 0.25 else "faded"


def _end_wall(past: Past, lives: Lives, visit: Visit, height: Height, stood: float) -> None:
    assert visit.end is not None
    assert visit.end_index is not None
    key, position = (visit.side, visit.first), past.quote_positions[visit.end_index]
    event = lives.living(key, visit.end)
    if not height.stands or event is None:
        return
    if visit.left == "better":
        event.close(visit.end, "improved")
        return
    height.removed += stood
    _show_wall(lives, key, height, Step(visit.end, position, 0.0))
    event.close(visit.end, _how_removed(past, height, position))


# --- stacking ----------------------------------------------------------------------------------


def stackings(past: Past, scales: Scales) -> Lives:
    """Sizes that grew at an unchanged best price."""
    lives = Lives("stacking")
    for stretch, visits in all_visits(past):
        for visit in visits:
            if stands_at(visit, visit.start + AGE_MS):
                _stacking_of(past, scales, lives, visit)
        lives.end(stretch)
    return lives


def _stacking_of(past: Past, scales: Scales, lives: Lives, visit: Visit) -> None:
    at = visit.start + AGE_MS
    steps = steps_of(past, visit)
    size = size_at(steps, at)
    usual = scales.named[SIDE_NAMES[visit.side] + "_size"].before(at, 0.5)
    if usual is None or size <= visit.start_size:
        return
    later = [step for step in steps if step.at > at]
    if visit.end is not None:
        peak = max([size, *(step.size for step in later)])
        lives.candidate((visit.end, RECORD, visit.over), peak / usual)
    if size < 2 * visit.start_size or size <= 2 * usual:
        return
    key = (visit.side, visit.first)
    prices = (visit.price, visit.price)
    event = lives.open(key, visit.side, visit.start, at, prices, 2.0, "C")
    _show_stacking(event, visit, (at, TIMER, 0), size, usual)
    for step in later:
        if step.size < 1.25 * visit.start_size:
            event.close(step.at, "faded")
            return
        _show_stacking(event, visit, (step.at, RECORD, step.position), step.size, usual)
    if visit.end is not None:
        event.close(visit.end, "improved" if visit.left == "better" else "lost")


def _show_stacking(
    event: Happening, visit: Visit, moment: Moment, size: float, usual: float
) -> None:
    evidence: Evidence = {
        "start_shares": visit.start_size,
        "size_shares": size,
        "median_shares": usual,
        "added_shares": size - visit.start_size,
    }
    event.show_if_peak(moment, size / usual, evidence)


# --- absorption_suspected ----------------------------------------------------------------------


def suspected_absorptions(past: Past, scales: Scales) -> Lives:
    """Prices that lose and regain several times their size."""
    lives = Lives("absorption_suspected")
    for stretch, visits in all_visits(past):
        for visit in visits:
            if visit.end is None or visit.end >= visit.start + AGE_MS:
                _suspected_absorption(past, scales, lives, visit)
        lives.end(stretch)
    return lives


def _suspected_absorption(past: Past, scales: Scales, lives: Lives, visit: Visit) -> None:
    steps = steps_of(past, visit)
    lost_ever = sum(step.less for step in steps)
    if visit.end is not None and lost_ever >= visit.start_size and untraded(past, visit.over):
        lives.candidate((visit.end, RECORD, visit.over), lost_ever / visit.start_size)
    median = scales.named[SIDE_NAMES[visit.side] + "_size"]
    event: Happening | None = None
    for moment, count in _looks(visit, steps):
        at = moment[0]
        lost = sum(step.less for step in steps[:count])
        won = sum(step.more for step in steps[:count])
        usual = median.before(at, 0.5)
        enough = usual is not None and lost >= 3 * max(visit.start_size, usual)
        if event is None and enough and won >= 0.7 * lost:
            traded = past.traded_by(at) if moment[1] == TIMER else not untraded(past, moment[2])
            if traded:
                break
            key, prices = (visit.side, visit.first), (visit.price, visit.price)
            event = lives.open(key, visit.side, visit.start, at, prices, 3.0, "C")
        if event is None:
            continue
        if at > event.instant + ELAPSED_MS:
            break
        evidence: Evidence = {
            "start_shares": visit.start_size,
            "decreased_shares": lost,
            "increased_shares": won,
            "age_seconds": (at - visit.start) / 1000,
        }
        event.show(moment, lost / visit.start_size, evidence)
    if event is not None:
        _end_suspected(event, visit, event.instant + ELAPSED_MS, "elapsed")


def _looks(visit: Visit, steps: list[Step]) -> list[tuple[Moment, int]]:
    """When the visit is looked at: changes of size from age 2 s on, and that age itself."""
    aged = visit.start + AGE_MS
    looks: list[tuple[Moment, int]] = [
        ((step.at, RECORD, step.position), number + 1)
        for number, step in enumerate(steps)
        if step.at >= aged and (step.less or step.more)
    ]
    if stands_at(visit, aged):
        looks.append(((aged, TIMER, 0), len([step for step in steps if step.at <= aged])))
    return sorted(looks)


def _end_suspected(event: Happening, visit: Visit, over: float, reason: str) -> None:
    if visit.end is not None and visit.end <= over:
        event.close(visit.end, "level_lost")
    else:
        event.close(over, reason)


# --- refill_suspected --------------------------------------------------------------------------


@dataclass
class Recovery:
    """A dip of the displayed size that was made good."""

    at: float
    position: int
    fell_from: float
    delay: float


def suspected_refills(past: Past, _: Scales) -> Lives:
    """Prices whose size dips and recovers again and again."""
    lives = Lives("refill_suspected")
    for stretch, visits in all_visits(past):
        for visit in visits:
            recoveries = _recoveries(past, visit)
            if recoveries:
                _suspected_refill(past, lives, visit, recoveries)
        lives.end(stretch)
    return lives


def _recoveries(past: Past, visit: Visit) -> list[Recovery]:
    found: list[Recovery] = []
    dip: tuple[float, float] | None = None  # when, from what size
    steps = steps_of(past, visit)
    for before, step in pairwise(steps):
        if dip is not None and step.at > dip[0] + REFILL_MS:
            dip = None
        if dip is not None and step.size >= dip[1]:
            found.append(Recovery(step.at, step.position, dip[1], step.at - dip[0]))
            dip = None
        fell = step.size <= before.size / 2
        if fell and (dip is None or before.size > dip[1]):
            dip = (step.at, before.size)
    return found


def _suspected_refill(past: Past, lives: Lives, visit: Visit, recoveries: list[Recovery]) -> None:
    if visit.end is not None and untraded(past, visit.over):
        lives.candidate((visit.end, RECORD, visit.over), len(recoveries))
    key, prices = (visit.side, visit.first), (visit.price, visit.price)
    for number, recovery in enumerate(recoveries):
        event = lives.living(key, recovery.at)
        third = recoveries[number - 2] if number >= 2 else None
        opens = (
            third is not None
            and recovery.at - third.at <= REFILLS_WITHIN_MS
            and untraded(past, recovery.position)
        )
        if event is None and opens and third is not None:
            event = lives.open(key, visit.side, third.at, recovery.at, prices, 3.0, "C")
        elif event is not None and event.closing is not None and not opens:
            continue
        if event is None:
            continue
        event.closing = None
        _show_refill(event, recoveries[: number + 1])
        following = recoveries[number + 1].at if number + 1 < len(recoveries) else None
        silent = recovery.at + ELAPSED_MS
        if following is None or following > silent:
            _end_suspected(event, visit, silent, "silence")


def _show_refill(event: Happening, recoveries: list[Recovery]) -> None:
    evidence: Evidence = {
        "recoveries": len(recoveries),
        "dip_shares": max(recovery.fell_from for recovery in recoveries),
        "median_delay_ms": median(recovery.delay for recovery in recoveries),
    }
    moment = (recoveries[-1].at, RECORD, recoveries[-1].position)
    event.show(moment, len(recoveries), evidence)
