"""The engine gives the answers of the plain definitions for the same records."""

import math
import random
from collections.abc import Iterable

import pytest
from hypothesis import example, given, settings

from app.analysis.records import Quote
from app.analysis.results import TickResult
from app.analysis.windows import WINDOWS
from tests.engine_answers import Fields, PublishedSoFar, Records, fold, metrics_of
from tests.reference import Reference
from tests.reference.past import ceil_second
from tests.strategies import Flavour, few_records, flavours
from tests.tapes import FOLDER, records_of

CLOSE = 1e-9
SHOWN = 20
AAPL = "AAPL_2012-06-21"
MINUTE_MS = 60_000

needs_tapes = pytest.mark.skipif(not FOLDER.exists(), reason="the real tapes are not here")


def ends_of(records: Records, step_seconds: int) -> list[int]:
    """Whole seconds from the first record to the last, the last always among them."""
    first, last = ceil_second(records[0].stamp), ceil_second(records[-1].stamp)
    return [*range(first, last, step_seconds * 1000), last]


def slack_of(records: Records) -> float:
    """1e-9 of the greatest size: what is lost where great terms cancel."""
    sizes = (max(r.bid_size, r.ask_size) if isinstance(r, Quote) else r.size for r in records)
    return CLOSE * max(1.0, *sizes)


def differences(ours: Fields, theirs: Fields, slack: float) -> list[str]:
    """Name the fields on which two answers differ."""
    return [
        f"{name}: engine {ours.get(name)!r}, reference {theirs.get(name)!r}"
        for name in sorted(ours.keys() | theirs.keys())
        if not same(ours.get(name), theirs.get(name), slack)
    ]


def same(one: object, other: object, slack: float) -> bool:
    """Tell whether two values say the same to 1e-9."""
    if isinstance(one, dict) and isinstance(other, dict):
        return not differences(one, other, slack)
    if isinstance(one, int | float) and isinstance(other, int | float):
        return math.isclose(one, other, rel_tol=CLOSE, abs_tol=slack)
    if isinstance(one, str) and isinstance(other, str):
        return one in other.split(" or ")
    return one == other


def metrics_differ(analysis: TickResult, reference: Reference, slack: float) -> list[str]:
    """Compare the three windows of a tick."""
    found = []
    for window, seconds in WINDOWS.items():
        theirs = reference.metrics(analysis.as_of, seconds)
        lines = differences(metrics_of(analysis, window), theirs, slack)
        found += [f"{analysis.as_of} {window} {line}" for line in lines]
    return found


def behaviors_differ(analysis: TickResult, reference: Reference) -> list[str]:
    """Compare on, off and unknown; the reasons are the engine's own words."""
    ours = {name: word.split(":")[0] for name, word in analysis.behaviors.items()}
    said = reference.behaviors(analysis.as_of).items()
    theirs = {name: word.split(":")[0] for name, word in said}
    return [f"{analysis.as_of} {line}" for line in differences(ours, theirs, 0.0)]


def events_differ(ours: dict[str, Fields], theirs: Iterable[Fields], slack: float) -> list[str]:
    """Compare events by their ids, field by field."""
    wanted = {form["id"]: form for form in theirs}
    found = [f"only the engine: {ours[name]}" for name in sorted(ours.keys() - wanted.keys())]
    found += [f"only the reference: {wanted[name]}" for name in sorted(wanted.keys() - ours.keys())]
    for name in sorted(ours.keys() & wanted.keys()):
        lines = differences(ours[name], wanted[name], slack)
        if lines:
            found.append(f"{wanted[name]['type']} {name}: " + "; ".join(lines))
    return found


def levels_differ(
    published: PublishedSoFar, reference: Reference, until: int, slack: float
) -> list[str]:
    """Compare both sides' published levels, rank by rank."""
    found = []
    for side, forms in published.levels.items():
        ours = {str(rank): form for rank, form in enumerate(forms)}
        theirs = {str(rank): form for rank, form in enumerate(reference.levels(until)[side])}
        found += [f"{until} {side} {line}" for line in differences(ours, theirs, slack)]
    return found


def all_differences(records: Records, step_seconds: int) -> list[str]:
    """Compare numbers, behaviours and levels at each end, events at the last."""
    reference, published, slack = Reference(records), PublishedSoFar(), slack_of(records)
    quoted = reference.past.quote_stamps[:1]
    found: list[str] = []
    end = 0
    for analysis in fold(records, ends_of(records, step_seconds)):
        end = analysis.as_of
        published.add(analysis)
        if quoted and quoted[0] <= end:
            found += metrics_differ(analysis, reference, slack)
            found += behaviors_differ(analysis, reference)
        found += levels_differ(published, reference, end, slack)
    return (found + events_differ(published.events, reference.events(end), slack))[:SHOWN]


@settings(max_examples=60)
@given(few_records)
def test_any_few_records_give_the_plain_definitions_answers(records: Records) -> None:
    assert all_differences(records, step_seconds=97) == []


@settings(max_examples=8)
@given(flavours(records=1500))
@example(Flavour(362879, 1500, 0.0, 0.0, 0.0, 0.0, 3.0, 0.05))  # a trend right at its threshold
def test_any_feed_gives_the_plain_definitions_answers(flavour: Flavour) -> None:
    assert all_differences(flavour.stream(), step_seconds=61) == []


@needs_tapes
def test_the_numbers_of_500_random_ticks_of_a_real_day_are_the_plain_ones() -> None:
    records = records_of(AAPL)
    reference, slack = Reference(records), slack_of(records)
    draw = random.Random(500)  # noqa: S311 - a choice of ticks, not a secret
    ends = sorted(draw.sample(ends_of(records, 1), 500))
    found = [
        line
        for analysis in fold(records, ends)
        for line in metrics_differ(analysis, reference, slack)
    ]
    assert found[:SHOWN] == []


@needs_tapes
def test_all_events_and_levels_of_a_real_hour_are_the_plain_ones() -> None:
    everything = records_of(AAPL)
    over = everything[0].stamp + 80 * MINUTE_MS
    records = [record for record in everything if record.stamp <= over]
    reference, published, slack = Reference(records), PublishedSoFar(), slack_of(records)
    found: list[str] = []
    end = 0
    for analysis in fold(records, ends_of(records, 1)):
        end = analysis.as_of
        published.add(analysis)
        found += levels_differ(published, reference, end, slack)
        if end % MINUTE_MS == 0:
            found += behaviors_differ(analysis, reference)
    hour = end - 60 * MINUTE_MS
    ours = {name: one for name, one in published.events.items() if one["noticed_at"] >= hour}
    found += events_differ(ours, reference.events(end, from_ms=hour), slack)
    assert found[:SHOWN] == []
