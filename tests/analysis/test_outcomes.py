"""What followed events is what the tape says, summed up anew; its intervals hold what they say."""

import random
from collections.abc import Callable
from statistics import fmean, pstdev

import pytest
from hypothesis import HealthCheck, Phase, given, settings

from app.analysis.engine import Engine
from app.analysis.outcome_table import Row, outcome_rows
from app.analysis.outcomes import HORIZON_SECONDS, Outcomes, RunningBlock
from app.analysis.student_t import t_975
from app.analysis.trading_hours import UTC_DAYS, TradingHours
from app.storage.session_calendars import hours_of
from app.storage.tick.codec import decode_state, encode_state
from tests.analysis.laws import Records, ends_of, pieces
from tests.reference import outcomes as oracle
from tests.reference.past import Past
from tests.strategies import flavours
from tests.tapes import FOLDER, records_of

Table = dict[tuple[str, str, int], Row]
HALF_HOUR_MS, FIRST_REGULAR = 1_800_000, 3


def slot_of(hours: TradingHours) -> oracle.Slot:
    def slot(at: int) -> tuple[int, int, int]:
        phase = hours.at(at)
        outside = {"closed": 0, "pre": 1, "post": 2}.get(phase.phase)
        number = FIRST_REGULAR + (at - phase.opened_at) // HALF_HOUR_MS
        return number if outside is None else outside, phase.opened_at, phase.ends_at

    return slot


def folded(records: Records, hours: TradingHours) -> tuple[Table, list[tuple[str, str, int]]]:
    """Return the engine's table at the end, and the events that were noticed."""
    engine = Engine.new("TEST", hours)
    noticed: dict[str, tuple[str, str, int]] = {}
    for batch, end in pieces(records, ends_of(records, 17)):
        result = engine.advance(batch, end)
        assert result.failed_detectors == {}
        for event in result.changed_events:
            noticed[event.id] = event.type, event.side, event.noticed_at
    engine.state.outcomes.close_blocks()
    return table_of(engine.state.outcomes), list(noticed.values())


def table_of(outcomes: Outcomes) -> Table:
    return {
        (found.type, found.side, found.horizon_seconds): found.row
        for place in range(len(HORIZON_SECONDS))
        for found in outcome_rows(outcomes.totals, place)
    }


def assert_same(found: Table, expected: dict[tuple[str, str, int], dict[str, float]]) -> None:
    assert found.keys() == expected.keys()
    for key, row in expected.items():
        assert found[key] == pytest.approx(row, rel=1e-9, abs=1e-9), key


@settings(
    max_examples=6,
    phases=(Phase.explicit, Phase.generate),
    suppress_health_check=list(HealthCheck),
    deadline=None,
)
@given(flavours(records=1500))
def test_it_is_what_the_tape_says(flavour: object) -> None:
    records = flavour.stream()  # type: ignore[attr-defined]
    found, noticed = folded(records, UTC_DAYS)

    until = ends_of(records)[-1]
    expected = oracle.table(Past(records), noticed, slot_of(UTC_DAYS), t_975, until)
    assert_same(found, expected)


@pytest.mark.skipif(
    not (FOLDER / "AAPL_2012-06-21.quotes.csv.gz").exists(), reason="the tape is not here"
)
def test_it_is_what_a_real_tape_says() -> None:
    hours = hours_of("AAPL", ())
    records = records_of("AAPL_2012-06-21", 1_340_285_400_000 + 75 * 60_000)
    found, noticed = folded(records, hours)

    until = ends_of(records)[-1]
    assert_same(found, oracle.table(Past(records), noticed, slot_of(hours), t_975, until))
    known = [row for row in found.values() if "insufficient" not in row]
    assert len(known) > 10


@pytest.mark.parametrize("degrees", [1, 2, 9, 10, 77, 200, 201, 5000])
def test_the_quantile_is_that_of_the_density(degrees: int) -> None:
    assert t_975(degrees) == pytest.approx(oracle.t_by_integration(degrees), rel=1e-9)


def walk(seed: int, seconds: int, still_share: float = 0.3) -> list[int]:
    """Return twice the mids of a random walk."""
    draw = random.Random(seed)  # noqa: S311 - a test's, not a secret's
    mids, mid = [], 200_000_000
    for _ in range(seconds):
        if draw.random() > still_share:
            mid += draw.choice((-2000, -1000, 1000, 2000))
        mids.append(mid)
    return mids


def with_events(mids: list[int], is_noticed: Callable[[int], bool]) -> Outcomes:
    """Return the outcomes of events at chosen seconds of a market with these mids."""
    outcomes = Outcomes()
    for second, mid in enumerate(mids):
        outcomes.close_second(second * 1000, mid, UTC_DAYS)
        if is_noticed(second):
            outcomes.note_event("sweep|ask", second)
    outcomes.close_blocks()
    return outcomes


LEAST_HELD = {10: 0.87, 60: 0.87, 300: 0.87}
"""95 % less two and a half standard errors of 80 draws."""
WIDTHS = {10: (0.8, 1.3), 60: (0.8, 1.3), 300: (0.8, 1.3)}
"""Mean margin over 1.96 standard deviations of the means."""


def test_the_intervals_hold_the_baseline_where_events_fall_at_random() -> None:
    seconds, draws = 2 * 3600, 80
    off: dict[int, list[tuple[float, float]]] = {horizon: [] for horizon in HORIZON_SECONDS}
    for seed in range(draws):
        # Events in clusters, as real ones are, at seconds that say nothing of what follows.
        draw = random.Random(1000 + seed)  # noqa: S311 - a test's, not a secret's
        starts = draw.sample(range(seconds), 60)
        busy = {start + step for start in starts for step in range(draw.randrange(1, 9))}
        found = table_of(with_events(walk(seed, seconds), busy.__contains__))
        for horizon in HORIZON_SECONDS:
            row = found["sweep", "ask", horizon]
            distance = row["mean_bps"] - row["baseline_mean_bps"]
            off[horizon].append((distance, row["high_bps"] - row["mean_bps"]))

    for horizon, pairs in off.items():
        held = sum(abs(distance) <= margin for distance, margin in pairs) / draws
        width = fmean(margin for _, margin in pairs) / (1.96 * pstdev(it for it, _ in pairs))
        assert held >= LEAST_HELD[horizon], horizon
        least, most = WIDTHS[horizon]
        assert least <= width <= most, horizon


def test_what_follows_events_is_told_from_the_baseline() -> None:
    mids = walk(7, 4 * 3600)
    noticed = set(range(50, len(mids) - 400, 97))
    raised = 0
    for second in range(len(mids)):
        if second - 5 in noticed:
            raised += 4000  # 2 bp
        mids[second] += raised
    found = table_of(with_events(mids, noticed.__contains__))["sweep", "ask", 10]

    assert found["low_bps"] > found["baseline_high_bps"]
    assert found["mean_bps"] - found["baseline_mean_bps"] == pytest.approx(0.2, abs=0.05)


def test_too_few_events_or_blocks_tell_nothing() -> None:
    few = table_of(with_events(walk(1, 8000), lambda second: second % 290 == 0))
    close = table_of(with_events(walk(1, 8000), lambda second: 1000 < second < 1100))

    assert few["sweep", "ask", 10] == {"n": 28, "blocks": 27, "insufficient": True}
    assert close["sweep", "ask", 300] == {"n": 99, "blocks": 1, "insufficient": True}


@pytest.mark.parametrize(
    ("start", "end", "kept"), [(400, 405, 1), (399, 400, 2), (409, 411, 1), (401, 410, 2)]
)
def test_a_move_needs_a_valid_mid_at_both_ends(start: int, end: int, kept: int) -> None:
    mids = walk(1, 2000)
    mids[start:end] = [0] * (end - start)
    found = with_events(mids, lambda second: second in {400, 600})

    assert found.totals.events["sweep|ask"].sums[0] == kept


def test_a_sleep_drops_what_it_cuts() -> None:
    outcomes = with_events(walk(1, 700), lambda second: second == 695)
    for second in range(700, 702):
        outcomes.close_second(second * 1000, 200_000_000, UTC_DAYS)
    outcomes.suspend()
    for second in range(9000, 9400):
        outcomes.close_second(second * 1000, 200_000_000, UTC_DAYS)
    outcomes.close_blocks()

    assert outcomes.totals.events == {}
    assert list(outcomes.pending_seconds) == outcomes.pending_keys == []


def test_a_stored_state_goes_on_with_the_same_totals() -> None:
    engine = Engine.new("TEST")
    block, baseline = RunningBlock(3, 1.5, 2, 1), RunningBlock(300, 12.5, 140, 100)
    engine.state.outcomes.totals.add_event_block("wall|bid", 1, block, baseline, 5)
    engine.state.outcomes.totals.revision = 4

    whole = encode_state(engine.state)
    again = decode_state(whole)

    assert again.outcomes.totals == engine.state.outcomes.totals
    assert encode_state(again, changed_only=True).outcomes == b""
    again.outcomes.totals.revision += 1
    assert encode_state(again, changed_only=True).outcomes != b""
