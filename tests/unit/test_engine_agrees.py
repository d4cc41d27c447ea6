"""The engine says what the plain definitions say of the same records."""

import math
import random
from collections.abc import Iterable
from functools import cache

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings

from app.engine import Analysis, Engine
from app.patterns.events import Event
from app.records import Batch, Quote, Trade
from tests.reference import Reference
from tests.reference.past import ceil_second
from tests.strategies import Flavour, few_records, flavours
from tests.tapes import FOLDER, records_of

Records = list[Quote | Trade]
WINDOWS = {"10s": 10, "1min": 60, "5min": 300}
CLOSE = 1e-9
AAPL = "AAPL_2012-06-21"
FIELDS = (
    "id type side status opened_at noticed_at updated_at closed_at close_reason price_low "
    "price_high strength evidence_class statistic threshold evidence"
).split()
UNMADE: set[str] = set()
"""Patterns that the reference has and the engine has not yet."""


def fold(records: Records, ends: Iterable[int], ticker: str = "TEST") -> Iterable[Analysis]:
    """Advance one engine to each end with the records up to it."""
    engine = Engine.new(ticker)
    done = 0
    for end in ends:
        upto = done
        while upto < len(records) and records[upto].stamp <= end:
            upto += 1
        yield engine.advance(Batch(records[done:upto], []), end)
        done = upto


def ends_of(records: Records, step_seconds: int, after_seconds: int = 0) -> list[int]:
    """Whole seconds from the first to after the last record."""
    first = ceil_second(records[0].stamp)
    last = ceil_second(records[-1].stamp) + after_seconds * 1000
    ends = list(range(first, last, step_seconds * 1000))
    return [*ends, last]


def differences(ours: dict[str, object], theirs: dict[str, object], slack: float) -> list[str]:
    """Name the fields on which two answers differ."""
    names = sorted(ours.keys() | theirs.keys())
    return [
        f"{name}: engine {ours.get(name)!r}, reference {theirs.get(name)!r}"
        for name in names
        if not _same(ours.get(name), theirs.get(name), slack)
    ]


def _same(one: object, other: object, slack: float) -> bool:
    if isinstance(one, dict) and isinstance(other, dict):
        return not differences(one, other, slack)
    if isinstance(one, (int, float)) and isinstance(other, (int, float)):
        return math.isclose(one, other, rel_tol=CLOSE, abs_tol=slack)
    return one == other


def size_of_terms(records: Records) -> float:
    """Greatest size that is summed: what 1e-9 refers to where terms cancel."""
    sizes = [max(r.bid_size, r.ask_size) if isinstance(r, Quote) else r.size for r in records]
    return max(1.0, *sizes)


def event_form(event: Event) -> dict[str, object]:
    """The event's fields that anyone sees."""
    return {name: getattr(event, name) for name in FIELDS}


def metrics_differ(analysis: Analysis, reference: Reference, slack: float) -> list[str]:
    found = []
    for window, seconds in WINDOWS.items():
        theirs = dict(reference.metrics(analysis.as_of, seconds))
        ours = {k: v for k, v in analysis.metrics[window].items() if k in theirs or k in METRICS}
        found += [f"{window} {line}" for line in differences(ours, theirs, slack)]
    return found


NOT_COMPARED = {"behaviors", "last_sweep", "quality", "engine"}


class _AllButThose:
    def __contains__(self, name: object) -> bool:
        return name not in NOT_COMPARED


METRICS = _AllButThose()


def events_differ(
    ours: Iterable[Event], theirs: list[dict[str, object]], slack: float
) -> list[str]:
    mine = {event.id: event_form(event) for event in ours}
    wanted = {str(form["id"]): form for form in theirs if form["type"] not in UNMADE}
    found = [f"only the engine: {mine[name]}" for name in mine.keys() - wanted.keys()]
    found += [f"only the reference: {wanted[name]}" for name in wanted.keys() - mine.keys()]
    for name in mine.keys() & wanted.keys():
        lines = differences(mine[name], wanted[name], slack)
        if lines:
            found.append(f"{wanted[name]['type']} {name}: " + "; ".join(lines))
    return found


def all_events(analyses: Iterable[Analysis]) -> dict[str, Event]:
    """The newest form of each event."""
    newest: dict[str, Event] = {}
    for analysis in analyses:
        for event in analysis.changed:
            newest[event.id] = msgspec.structs.replace(event) if IS_STRUCT else event
    return newest


IS_STRUCT = issubclass(Event, msgspec.Struct)


def behaviors_differ(analysis: Analysis, reference: Reference) -> list[str]:
    """Compare on, off and unknown; the reasons are the engine's own words."""
    ours = {k: v.split(":")[0] for k, v in analysis.behaviors.items()}
    theirs = {k: v.split(":")[0] for k, v in reference.behaviors(analysis.as_of).items()}
    return [f"{analysis.as_of} {line}" for line in differences(ours, theirs, 0.0)]


def check_all(records: Records, step_seconds: int) -> list[str]:
    """Compare everything at each of the ends; events and levels at the last."""
    reference = Reference(records)
    slack = CLOSE * size_of_terms(records)
    found: list[str] = []
    analyses: list[Analysis] = []
    newest: dict[str, Event] = {}
    levels: list[object] = [[], []]
    for analysis in fold(records, ends_of(records, step_seconds)):
        newest |= all_events([analysis])
        analyses = [analysis]
        if reference.past.quotes and analysis.as_of >= reference.past.quotes[0].stamp:
            found += [f"{analysis.as_of} {d}" for d in metrics_differ(analysis, reference, slack)]
            found += behaviors_differ(analysis, reference)
        levels = [new if new is not None else old for new, old in zip(analysis.levels, levels)]
    last = analyses[-1].as_of
    found += events_differ(newest.values(), reference.events(last), slack)
    return found[:20]


few = settings(max_examples=60, deadline=None)
slow = settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@few
@given(few_records)
def test_any_few_records_give_the_plain_definitions_numbers(records: Records) -> None:
    assert check_all(records, step_seconds=97) == []


@slow
@given(flavours(records=1500))
def test_any_feed_gives_the_plain_definitions_numbers(flavour: Flavour) -> None:
    assert check_all(flavour.stream(), step_seconds=61) == []
