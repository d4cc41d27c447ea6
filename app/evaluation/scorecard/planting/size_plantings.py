"""Planted sizes at the best price: walls, stacking, pulling."""

from app.analysis.records import BID
from app.evaluation.scorecard.ground_truth import TrueEvent
from app.evaluation.scorecard.planting.planter import PlantingSite, TapeEdit
from app.evaluation.scorecard.planting.scripts import Script, is_calm, play_script
from app.evaluation.scorecard.planting.tape_section import TapeSection, price_of, size_of

SIDE_NAMES = ("bid", "ask")
WALL_MEDIANS = 3.0
STACKING_MEDIANS = 2.0


def wall(site: PlantingSite) -> TapeEdit | None:
    """Display size above the side's q95 and 3 medians for some seconds, then cancel it."""
    section, side = site.section, site.draw.randrange(2)
    threshold = max(
        section.size_quantile(side, 0.95), WALL_MEDIANS * section.size_quantile(side, 0.5)
    )
    size = round_size(section, site.strength * threshold)
    start, end = site.at_ms, site.at_ms + site.draw.uniform(3500.0, 6000.0)
    if not is_calm(section, start, end):
        return None
    before = section.standing_quote(start)
    price = price_of(before, side)
    script = Script(side)
    script.show(start + 1, price, size)
    script.show(end, price, size_of(before, side))
    return _edit(section, script, "wall", (start, end), (start + 1, end), price)


def stacking(site: PlantingSite) -> TapeEdit | None:
    """Grow the size at a new best price in steps to over twice its start and the median."""
    section, side = site.section, site.draw.randrange(2)
    start, end = site.at_ms, site.at_ms + 6000.0
    if not is_calm(section, start, end):
        return None
    before = section.standing_quote(start)
    price = price_of(before, side) - (1 if side == BID else -1) * section.tick
    median = section.size_quantile(side, 0.5)
    peak = round_size(section, site.strength * STACKING_MEDIANS * median)
    script = Script(side)
    for step in range(1, 6):
        size = round_size(section, median + (peak - median) * (step - 1) / 4)
        script.show(start + 1 + 350.0 * (step - 1), price, size)
    return _edit(section, script, "stacking", (start, end), (start + 1, end), price)


def pulling(site: PlantingSite) -> TapeEdit | None:
    """Build up size over some seconds and cancel it at once.

    Only where the book then has the same best price, so that the end removes no size again.
    """
    section, side = site.section, site.draw.randrange(2)
    start, end = site.at_ms, site.at_ms + 7000.0
    if not is_calm(section, start, end):
        return None
    before = section.standing_quote(start)
    after = section.standing_quote(end)
    price, rest = price_of(before, side), size_of(before, side)
    if price_of(after, side) != price:
        return None
    left = min(rest, size_of(after, side))
    pulled = round_size(section, site.strength * max(section.removal_q95, rest))
    script = Script(side)
    for step in range(1, 5):
        script.show(start + 500.0 * step, price, rest + (left + pulled - rest) * step / 4)
    at = start + 4000.0 + site.draw.uniform(0.0, 1000.0)
    script.show(at, price, left)
    return _edit(section, script, "pulling", (start, end), (at, at), price)


def round_size(section: TapeSection, size: float) -> float:
    """Round to whole lots, at least one."""
    lot = section.lot
    return lot * max(1, round(size / lot))


def _edit(  # noqa: PLR0913, PLR0917 - the facts of a planting
    section: TapeSection,
    script: Script,
    kind: str,
    span: tuple[float, float],
    truly: tuple[float, float],
    price: int,
) -> TapeEdit:
    truth = TrueEvent(kind, SIDE_NAMES[script.side], *truly, price)
    return TapeEdit(*span, play_script(section, script, *span), [truth])
