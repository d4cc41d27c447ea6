"""The scorecard plants what its labels name, matches events with them, and writes its page."""

from itertools import pairwise
from pathlib import Path
from random import Random

import pytest
from click.testing import CliRunner

from app.analysis.patterns.events import Event
from app.analysis.records import Record
from app.evaluation.scorecard.command import scorecard
from app.evaluation.scorecard.folding import find_events, find_events_with_impact_of
from app.evaluation.scorecard.ground_truth import TrueEvent, match_events
from app.evaluation.scorecard.nulls import sign_randomised
from app.evaluation.scorecard.planting import KINDS, PlantingKind, TapeSection, plant
from app.evaluation.scorecard.precision_recall import Proportion
from app.evaluation.scorecard.simulated_books import START_MS, simulated_book

WARM_SECONDS, SECONDS = 600, 1200
FOUND_WHERE_PLANTED = (
    "sweep",
    "iceberg (native)",
    "iceberg (synthetic)",
    "absorption",
    "hidden_print",
    "trade_burst",
    "quote_burst",
    "spread_regime (wide)",
    "spread_regime (tight)",
)
"""Patterns of which every planting of medium size is found in the quick run, and nothing else."""


@pytest.fixture(scope="module")
def section() -> TapeSection:
    return TapeSection(
        simulated_book("several ticks", 1, SECONDS), START_MS + 1000.0 * WARM_SECONDS
    )


def event(*, opened_s: float, closed_s: float, side: str = "bid", price: float = 10.0) -> Event:
    at = START_MS + round(opened_s * 1000)
    return Event(
        id=f"T~{opened_s}",
        type="wall",
        side=side,
        status="closed",
        opened_at=float(at),
        noticed_at=at,
        updated_at=at,
        closed_at=START_MS + closed_s * 1000,
        close_reason="pulled",
        price_low=price,
        price_high=price,
        strength=None,
        evidence_class="C",
        statistic=1.0,
        threshold=1.0,
        evidence={},
    )


def truth(start_s: float, end_s: float) -> TrueEvent:
    return TrueEvent("wall", "bid", START_MS + start_s * 1000, START_MS + end_s * 1000, 10 * 10**8)


def test_an_event_is_right_where_it_overlaps_a_truth_of_its_side_and_price() -> None:
    events = [
        event(opened_s=10, closed_s=12),
        event(opened_s=10, closed_s=12, side="ask"),
        event(opened_s=10, closed_s=12, price=11.0),
        event(opened_s=50, closed_s=60),
    ]

    found = match_events(events, [truth(9, 11), truth(100, 101)], hours=2.0)

    assert found.precision == Proportion(1, 4)
    assert found.recall == Proportion(1, 2)
    assert found.delays_seconds == [1.0]
    assert found.false_alarms_an_hour == 1.5


def test_two_events_of_one_truth_are_both_right_and_find_it_once() -> None:
    events = [event(opened_s=10, closed_s=12), event(opened_s=13, closed_s=14)]

    found = match_events(events, [truth(9, 15)], hours=1.0)

    assert (found.precision, found.recall) == (Proportion(2, 2), Proportion(1, 1))


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_planted_records_are_in_order_and_hold_their_truth(
    kind: PlantingKind, section: TapeSection
) -> None:
    planted = None
    for seed in range(20):
        from_ms = section.plant_from_ms + 10_000.0 * seed
        draw = Random(seed)  # noqa: S311 - a test's, not a secret's
        planted = plant(section, kind.planter, kind.strengths[1], draw, from_ms, 12_000.0)
        if planted is not None:
            break

    assert planted is not None
    stamps = [record.stamp for record in planted.records]
    assert stamps == sorted(stamps)
    assert planted.truths
    for happened in planted.truths:
        assert happened.kind == kind.pattern
        assert stamps[0] <= happened.start_ms <= happened.end_ms <= planted.end_ms


def _mid2s(records: list[Record]) -> list[float]:
    return [r.bid_price + r.ask_price for r in records if hasattr(r, "bid_price")]


def test_randomised_signs_keep_each_step_of_the_mid_but_not_its_direction() -> None:
    bare = simulated_book("several ticks", 2, 300)

    steps = [b - a for a, b in pairwise(_mid2s(bare))]
    mixed = _mid2s(sign_randomised(bare, seed=1))
    turned = [b - a for a, b in pairwise(mixed)]

    assert [abs(step) for step in turned] == [abs(step) for step in steps]
    assert turned != steps


def test_a_tape_with_the_impact_of_itself_has_the_events_that_it_has() -> None:
    bare = simulated_book("one tick", 3, 900)

    assert find_events_with_impact_of(bare, bare) == find_events(bare)


def test_the_quick_scorecard_writes_its_page_and_plots(tmp_path: Path) -> None:
    out = tmp_path / "card.md"

    result = CliRunner().invoke(scorecard, ["--quick", "--out", str(out)])

    assert result.exit_code == 0, result.output
    page = out.read_text()
    for kind in KINDS:
        assert page.count(f"| {kind.name} |") >= 4
    for name in FOUND_WHERE_PLANTED:
        [medium] = [row for row in page.splitlines() if row.startswith(f"| {name} | medium:")]
        assert medium.count("| 1.000 (") == 2
    for name in ("iceberg", "hidden_print", "sweep"):
        assert f"| {name} | several ticks | 0.5 | 0 | 0 |" in page
    assert {path.name for path in (tmp_path / "card").iterdir()} == {
        "precision.svg",
        "recall.svg",
        "delay.svg",
    }
