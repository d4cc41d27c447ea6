"""What can be waited for, as people and models write it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.analysis.metric_table import RANKED
from app.analysis.pattern_table import PATTERN_SIDES, PATTERN_TYPES
from app.analysis.windows import WINDOWS
from app.core.errors import BadQuestion
from app.waiting.condition import Condition, EventCondition, RankCondition, parse_condition
from tests.waiting.events import event


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("", "min_return_minutes 10"),
        ("any", "any"),
        ("any event", "any"),
        ("iceberg", "iceberg"),
        ("Icebergs", "iceberg"),
        ("iceberg,absorption", "iceberg absorption"),
        ("Hidden Prints on the ASK side", "hidden_print ask"),
        ("absorption bid min_return_minutes=30", "absorption bid min_return_minutes 30"),
        ("min_return_minutes >= 30", "min_return_minutes 30"),
        ("pattern: sweep, side: ask", "sweep ask"),
        ("rarer than 1 hour", "min_return_minutes 60"),
        ("return ≥ 30min", "min_return_minutes 30"),
        ("iceberg or ofi rank >= 0.95", "iceberg or ofi rank >= 0.95 in 1min"),
        ("ofi rank >= 95% in 10s", "ofi rank >= 0.95 in 10s"),
        ("OFI p95", "ofi rank >= 0.95 in 1min"),
        ("ofi rank >= .95", "ofi rank >= 0.95 in 1min"),
        ("ofi rank >= 95 %", "ofi rank >= 0.95 in 1min"),
        ("ofi above its 95th percentile", "ofi rank >= 0.95 in 1min"),
        ("metric ofi below 5th percentile in 10s", "ofi rank <= 0.05 in 10s"),
        ("iceberg rarer than an hour", "iceberg min_return_minutes 60"),
        ("return period over 30 minutes", "min_return_minutes 30"),
        ("rarer than once in 30 min", "min_return_minutes 30"),
        ('["iceberg"]', "iceberg"),
        ("spread_bps rank <= 5% in 5 minutes", "spread_bps rank <= 0.05 in 5min"),
        ("ofi rank <= 0.95 over the last 10 seconds", "ofi rank <= 0.95 in 10s"),
        ("spread bps rank at most p5 in 5min", "spread_bps rank <= 0.05 in 5min"),
        ("trade imbalance below 0.02", "trade_imbalance rank <= 0.02 in 1min"),
        ("sweep; wall", "sweep or wall"),
        ("sweep or sweep", "sweep"),
    ],
)
def test_conditions_are_read_as_they_are_written(typed: str, meant: str) -> None:
    assert str(parse_condition(typed)) == meant


@pytest.mark.parametrize(
    ("typed", "fault"),
    [
        ("avalanche", "'avalanche' is not understood"),
        ("ofi", "ofi has no rank"),
        ("ofi p05", "say ofi rank <= 0.05, or >= 0.05"),
        ("ofi rank >= 120", "the rank '120' lies from 0 to 1"),
        ("ofi rank >= .95x", "'.95x' is not understood"),
        ("ofi rank 0.9 and sweep", "'sweep' is not understood"),
        ("min_return_minutes", "has no number"),
        ("min_return_minutes 5 days ago", "'days' is not understood"),
        ("x" * 401, "401 characters"),
        (" or ".join(["sweep"] * 9), "9 alternatives"),
        ("or", "0 alternatives"),
    ],
)
def test_what_is_no_condition_is_refused_with_what_is_accepted(typed: str, fault: str) -> None:
    with pytest.raises(BadQuestion) as refused:
        parse_condition(typed)

    assert fault in str(refused.value)
    assert "iceberg" in str(refused.value)
    assert len(str(refused.value)) < 1024


_names = st.lists(st.sampled_from(PATTERN_TYPES), max_size=3, unique=True).map(tuple)
_sides = st.lists(st.sampled_from(PATTERN_SIDES), max_size=2, unique=True).map(tuple)
_events = st.builds(EventCondition, _names, _sides, st.integers(0, 500).map(float))
_ranks = st.builds(
    RankCondition,
    st.sampled_from(RANKED),
    st.sampled_from([*WINDOWS]),
    st.integers(0, 100).map(lambda share: share / 100),
    st.booleans(),
)


@given(
    st.lists(_events, max_size=3, unique=True).map(tuple),
    st.lists(_ranks, max_size=3, unique=True).map(tuple),
)
def test_a_condition_as_text_is_the_same_condition(
    events: tuple[EventCondition, ...], ranks: tuple[RankCondition, ...]
) -> None:
    condition = Condition(events, ranks)
    if events or ranks:
        assert parse_condition(str(condition)) == condition


@given(st.text(max_size=60))
def test_any_text_is_a_condition_or_refused(typed: str) -> None:
    try:
        condition = parse_condition(typed)
    except BadQuestion:
        return

    assert condition.events or condition.ranks


def test_all_words_of_an_alternative_hold_together() -> None:
    condition = parse_condition("iceberg, sweep ask min_return_minutes 30 or wall")

    assert condition.is_met_by(event("iceberg", "ask", return_minutes=30))
    assert condition.is_met_by(event("sweep", "ask", return_minutes=31))
    assert condition.is_met_by(event("wall", "bid"))
    assert not condition.is_met_by(event("iceberg", "bid", return_minutes=30))
    assert not condition.is_met_by(event("iceberg", "ask", return_minutes=29))
    assert not condition.is_met_by(event("absorption", "ask", return_minutes=30))


def test_an_event_of_unknown_rarity_meets_no_rarity() -> None:
    assert not parse_condition("min_return_minutes 1").is_met_by(event("iceberg", "ask"))
    assert parse_condition("iceberg").is_met_by(event("iceberg", "ask"))


def test_a_rank_that_is_not_known_meets_nothing() -> None:
    high, low = parse_condition("ofi rank >= 0 or ofi rank <= 1").ranks

    assert (high.holds(None), low.holds(None)) == (False, False)
    assert (high.holds(0.0), low.holds(1.0)) == (True, True)
