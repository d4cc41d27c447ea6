"""Walls, stackings and the suspected forms: what one visit of a best price shows."""

from dataclasses import dataclass
from itertools import pairwise
from statistics import median

from tests.reference.lives import Evidence, Happening, Lives
from tests.reference.past import ASK, BID, SIDE_NAMES, Past, Visit, size_of
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


def all_visits(past: Past) -> list[tuple[int, list[Visit]]]:
    """Visits by the sleep that ends their stretch."""
    return [
        (stretch.sleep, past.visits(BID, stretch) + past.visits(ASK, stretch))
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
    broken_at: float | None = None

    @property
    def stands_at(self) -> float:
        """When it has stood for long enough."""
        return self.start.at + AGE_MS


def walls(past: Past, scales: Scales) -> Lives:
    """Unusually large sizes that stand."""
    lives = Lives("wall")
    for sleep, visits in all_visits(past):
        for visit in visits:
            _walls_of(past, scales, lives, visit)
        lives.sleep(sleep)
    return lives


def _walls_of(past: Past, scales: Scales, lives: Lives, visit: Visit) -> None:
    quotes = steps_of(past, visit)
    heights = _heights(scales, visit, quotes)
    if not heights:
        return
    key = (visit.side, visit.first)
    moments: list[tuple[float, int, int, Step | Height]] = [
        (step.at, 0, step.position, step) for step in quotes + _takings(past, visit)
    ]
    moments += [
        (height.stands_at, 1, 0, height)
        for height in heights
        if height.broken_at is None or height.broken_at > height.stands_at
    ]
    timeline = sorted(moments, key=lambda moment: moment[:3])
    done: list[Step] = []
    for at, _, _, moment in timeline:
        if isinstance(moment, Height):
            _raise_wall(lives, key, visit, moment, done, at)
        else:
            done.append(moment)
            _wall_step(past, lives.living(key, at), done, moment)
    if visit.end is not None and visit.end_index is not None:
        first = heights[0]
        highest = max(step.size for step in quotes if step.position >= first.start.position)
        lives.candidate(visit.end, highest / first.theta)
        event = lives.living(key, visit.end)
        if event is not None:
            _end_wall(past, event, visit, done)


def _heights(scales: Scales, visit: Visit, quotes: list[Step]) -> list[Height]:
    scale = scales.named[SIDE_NAMES[visit.side] + "_size"]
    found: list[Height] = []
    for step in quotes:
        if found and found[-1].broken_at is None:
            if step.size >= found[-1].theta:
                continue
            found[-1].broken_at = step.at
        large, usual = scale.before(step.at, 0.95), scale.before(step.at, 0.5)
        if large is not None and usual is not None and step.size >= max(large, 3 * usual):
            found.append(Height(step, max(large, 3 * usual), usual))
    if found and found[-1].broken_at is None:
        found[-1].broken_at = visit.end
    return found


def _takings(past: Past, visit: Visit) -> list[Step]:
    """Return prints at the visit's price that took from its side while it stood."""
    start = past.quote_positions[visit.first]
    return [
        Step(one.stamp, one.position, 0.0, traded=one.size)
        for one in past.prints_between(start, visit.over)
        if one.takes(visit.side) and one.price == visit.price
    ]


def _raise_wall(  # noqa: PLR0913, PLR0917 - a wall, where it stands, and what led to it
    lives: Lives,
    key: tuple[int, int],
    visit: Visit,
    height: Height,
    done: list[Step],
    at: float,
) -> None:
    event = lives.living(key, at)
    if event is None:
        prices = (visit.price, visit.price)
        event = lives.open(key, visit.side, height.start.at, at, prices, 1.0, "C")
        event.notes = [height]
    event.closing = None
    _show_wall(event, done, at)


def _wall_step(past: Past, event: Happening | None, done: list[Step], step: Step) -> None:
    if event is None or event.closing is not None:
        return
    height: Height = event.notes[0]
    _show_wall(event, done, step.at)
    if not step.traded and step.size < height.theta / 2:
        event.close(step.at, _how_removed(past, height, done, step.position))


def _since(height: Height, done: list[Step]) -> list[Step]:
    return [step for step in done if step.position > height.start.position]


def _show_wall(event: Happening, done: list[Step], at: float) -> None:
    height: Height = event.notes[0]
    since = _since(height, done)
    peak = max(step.size for step in [height.start, *since])
    evidence: Evidence = {
        "size_shares": peak,
        "threshold_shares": height.theta,
        "median_shares": height.usual,
        "traded_shares": sum(step.traded for step in since),
        "removed_shares": sum(step.less for step in since),
    }
    event.show(at, peak / height.theta, evidence)


def _how_removed(past: Past, height: Height, done: list[Step], position: int) -> str:
    if untraded(past, position):
        return "removed"
    since = _since(height, done)
    share = sum(step.traded for step in since) / sum(step.less for step in since)
    if share >= 0.75:
        return "consumed"
    return "pulled" if share < 0.25 else "faded"


def _end_wall(past: Past, event: Happening, visit: Visit, done: list[Step]) -> None:
    assert visit.end is not None
    assert visit.end_index is not None
    if event.closing is not None:
        return
    if visit.left == "better":
        event.close(visit.end, "improved")
        return
    position = past.quote_positions[visit.end_index]
    stood = [step for step in done if not step.traded][-1].size
    done.append(Step(visit.end, position, 0.0, less=stood))
    _show_wall(event, done, visit.end)
    event.close(visit.end, _how_removed(past, event.notes[0], done, position))


# --- stacking ----------------------------------------------------------------------------------


def stackings(past: Past, scales: Scales) -> Lives:
    """Sizes that grew at an unchanged best price."""
    lives = Lives("stacking")
    for sleep, visits in all_visits(past):
        for visit in visits:
            if stands_at(visit, visit.start + AGE_MS):
                _stacking_of(past, scales, lives, visit)
        lives.sleep(sleep)
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
        lives.candidate(visit.end, peak / usual)
    if size < 2 * visit.start_size or size < 2 * usual:
        return
    key = (visit.side, visit.first)
    prices = (visit.price, visit.price)
    event = lives.open(key, visit.side, visit.start, at, prices, 2.0, "C")
    _show_stacking(event, visit, at, size, usual)
    for step in later:
        if step.size < 1.25 * visit.start_size:
            event.close(step.at, "faded")
            return
        _show_stacking(event, visit, step.at, step.size, usual)
    if visit.end is not None:
        event.close(visit.end, "improved" if visit.left == "better" else "lost")


def _show_stacking(event: Happening, visit: Visit, at: float, size: float, usual: float) -> None:
    evidence: Evidence = {
        "start_shares": visit.start_size,
        "size_shares": size,
        "median_shares": usual,
        "added_shares": size - visit.start_size,
    }
    event.show_if_peak(at, size / usual, evidence)


# --- absorption_suspected ----------------------------------------------------------------------


def suspected_absorptions(past: Past, _: Scales) -> Lives:
    """Prices that lose and regain several times their size."""
    lives = Lives("absorption_suspected")
    for sleep, visits in all_visits(past):
        for visit in visits:
            if stands_at(visit, visit.start + AGE_MS):
                _suspected_absorption(past, lives, visit)
        lives.sleep(sleep)
    return lives


def _suspected_absorption(past: Past, lives: Lives, visit: Visit) -> None:
    steps = steps_of(past, visit)
    lost_ever = sum(step.less for step in steps)
    if visit.end_index is not None and visit.end is not None:
        end = past.quote_positions[visit.end_index]
        if lost_ever >= visit.start_size and untraded(past, end):
            lives.candidate(visit.end, lost_ever / visit.start_size)
    aged = visit.start + AGE_MS
    at_two = [step for step in steps if step.at <= aged]
    looks = [(aged, len(at_two))]
    looks += [
        (step.at, number + 1)
        for number, step in enumerate(steps)
        if step.at > aged and (step.less or step.more)
    ]
    event: Happening | None = None
    for at, count in looks:
        lost = sum(step.less for step in steps[:count])
        won = sum(step.more for step in steps[:count])
        if event is None and lost >= 3 * visit.start_size and won >= 0.7 * lost:
            if not _untraded_by(past, at, steps, count, aged):
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
        event.show(at, lost / visit.start_size, evidence)
    if event is not None:
        _end_suspected(event, visit, event.instant + ELAPSED_MS, "elapsed")


def _untraded_by(past: Past, at: float, steps: list[Step], count: int, aged: float) -> bool:
    """Tell whether no trade came before a look: at a record, or at the timer of age 2 s."""
    if at == aged and steps[count - 1].at != aged:
        return not past.traded_by(at)
    return untraded(past, steps[count - 1].position)


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
    for sleep, visits in all_visits(past):
        for visit in visits:
            recoveries = _recoveries(past, visit)
            if recoveries:
                _suspected_refill(past, lives, visit, recoveries)
        lives.sleep(sleep)
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
        lives.candidate(visit.end, len(recoveries))
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
    event.show(recoveries[-1].at, len(recoveries), evidence)
