"""What answers may cost a model; benchmarks/tokens.py compares the estimate with o200k itself."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, get_args

import msgspec
from hypothesis import example, given, settings
from hypothesis import strategies as st

from app.analysis.metric_table import RANKED
from app.analysis.quality_table import REJECTED_NAMES
from app.answers.answer_model import Answer
from app.answers.ask import (
    MAX_BRIEF_TOKENS,
    MAX_JSON_TOKENS,
    MAX_TEXT_TOKENS,
    excess_brief_tokens,
    excess_tokens,
)
from app.answers.rendering import RenderedReply, compact
from app.answers.snapshot import TickerSnapshot
from app.answers.ticker_answer import build_answer, fit_brief_to_budget, fit_to_budget
from app.answers.ticker_text import as_text
from app.answers.token_estimate import tokens_at_most
from app.storage.answer_archive import new_id
from app.storage.published import (
    EventRecord,
    FeedRecord,
    FollowedRecord,
    LevelRecord,
    PatternType,
    QualityRecord,
    RejectedCount,
    RejectedRecords,
)
from tests.key_writer import BEHAVIORS, METRICS

NOW = 1_340_285_400_000.0


def event(i: int, *, is_open: bool, strength: float | None) -> EventRecord:
    types = get_args(PatternType)
    return EventRecord(
        id=f"AAPL~k3f9x2{i:02}",
        type=types[i % len(types)],
        side="bid",
        status="open" if is_open else "closed",
        opened_at=NOW - 31_000,
        noticed_at=NOW - 30_000,
        updated_at=NOW,
        closed_at=None if is_open else NOW - 5000,
        close_reason=None if is_open else "elapsed",
        evidence_class="A",
        price_low=585.3,
        price_high=585.31,
        strength=strength,
        statistic=2.12,
        threshold=1.5,
    )


def replace_event(one: EventRecord, i: int) -> EventRecord:
    """Return an event with a place in the order and evidence of usual length."""
    evidence = {"level_shares": 937.0, "moved_ticks": 0.5, "expected_ticks": 6.1, "refills": 5}
    return msgspec.structs.replace(one, return_minutes=200.0 - 7 * i, evidence=evidence)


SESSION = {
    "calendar": "XNYS",
    "phase": "regular",
    "opened_at": NOW - 3_600_000,
    "closes_at": NOW + 19_800_000,
    "open": 585.1,
    "high": 586.25,
    "low": 583.4,
    "volume": 1_234_567.0,
    "cvd": -12_345.0,
    "cvd_large": 2300.0,
    "vwap": 585.123456,
    "vwap_sd": 0.51234,
    "poc": 585.2,
    "value_area_low": 584.31,
    "value_area_high": 585.92,
    "opening_range_low": 584.0,
    "opening_range_high": 586.0,
}


def level(i: int, side: Any) -> LevelRecord:
    return LevelRecord(
        price=585 + i / 100,
        side=side,
        appearances=12 + i,
        size=210.25,
        first_seen=NOW - 60_000,
        last_seen=NOW - 3000,
        held=5,
        broke=3,
    )


def snapshot(events: tuple[EventRecord, ...], **changed: Any) -> TickerSnapshot:
    made = TickerSnapshot(
        ticker="AAPL",
        now_ms=NOW,
        as_of_ms=int(NOW) - 1000,
        history_seconds=300,
        newest_quote_ms=NOW - 400,
        evidence_class="A",
        metrics=METRICS | {"covered_seconds": 300.0},
        # Events are ranked once 50 candidates are known: nothing is warming by then.
        behaviors=BEHAVIORS | {"momentum_building": "off"},
        events=events,
        levels=tuple(level(i, side) for side in ("bid", "ask") for i in range(5)),
        quality=QualityRecord({"late": 3}),
        engine="1",
    )
    return replace(made, **changed)


def by(excess_of: Callable[[RenderedReply], int]) -> Callable[[Answer], int]:
    return lambda answer: excess_of(RenderedReply(answer))


def tokens_of(answer: Answer) -> tuple[int, int]:
    named = answer.with_id(new_id())
    return tokens_at_most(as_text(named)), tokens_at_most(compact(named.as_json()))


def test_five_events_and_two_levels_a_side_fit() -> None:
    five = tuple(event(i, is_open=i < 3, strength=0.9) for i in range(5))

    answer = fit_to_budget(snapshot(five), by(excess_tokens))

    assert (len(answer.events or ()), len(answer.levels)) == (5, 4)
    text, structured = tokens_of(answer)
    assert text <= MAX_TEXT_TOKENS
    assert structured <= MAX_JSON_TOKENS


def test_three_events_with_their_levels_fit_beside_all_else_that_there_can_be() -> None:
    whole = snapshot(
        tuple(replace_event(event(i, is_open=True, strength=0.9), i) for i in range(20)),
        ranks=dict.fromkeys(RANKED, 0.954),
        ranks_window="5min",
        session=SESSION,
        feed=FeedRecord("alpaca.iex", "venue", "venue", 15_000, 0.0213, NOW - 1200),
        followed={("absorption", "bid"): FollowedRecord(n=412, mean_bps=1.0, low_bps=0.5)},
    )

    answer = fit_to_budget(whole, by(excess_tokens))

    assert len(answer.events or ()) >= 3
    assert len(answer.levels) >= 2
    assert answer.metrics_left_out


def test_what_an_answer_leaves_out_for_its_size_is_told() -> None:
    many = tuple(replace_event(event(i, is_open=True, strength=0.9), i) for i in range(20))
    known = snapshot(many, ranks=dict.fromkeys(RANKED, 0.95), ranks_window="5min", session=SESSION)

    answer = fit_to_budget(known, by(excess_tokens))

    text = as_text(answer)
    assert f"{answer.events_left_out} left out" in text
    assert f"metrics left out: {answer.metrics_left_out}" in text


snapshots = st.builds(
    snapshot,
    st.lists(
        st.builds(
            event,
            st.integers(0, 99),
            is_open=st.booleans(),
            strength=st.none() | st.floats(0, 1),
        ),
        max_size=9,
    ).map(tuple),
    cause=st.none() | st.just("the analysis is not running: " + "its fan-out was never seen " * 5),
    stale=st.booleans(),
    rejected=st.sampled_from(
        [
            RejectedRecords(),
            RejectedRecords(RejectedCount(NOW - 15_000, 147, {"missing_number": 147})),
            RejectedRecords(
                RejectedCount(NOW - 3_600_000, 4_200_000, dict.fromkeys(REJECTED_NAMES, 420_000)),
                RejectedCount(NOW - 9000, 2_333, {"not_json": 2_333}),
            ),
        ]
    ),
)


@settings(max_examples=50)
@given(snapshots)
def test_no_answer_costs_more_than_its_budget(known: TickerSnapshot) -> None:
    text, structured = tokens_of(fit_to_budget(known, by(excess_tokens)))

    assert text <= MAX_TEXT_TOKENS
    assert structured <= MAX_JSON_TOKENS


@settings(max_examples=50)
@given(snapshots)
def test_what_does_not_fit_is_cut_events_last_and_counted(known: TickerSnapshot) -> None:
    whole, cut = build_answer(known), fit_to_budget(known, by(excess_tokens))

    assert cut.quality == whole.quality
    assert cut.headline == whole.headline
    assert len(cut.events or ()) + (cut.events_left_out or 0) == len(known.events or ())
    assert len(cut.levels) + (cut.levels_left_out or 0) == len(known.levels)
    shown = cut.events or []
    assert shown == (whole.events or [])[: len(shown)]
    if len(shown) < min(3, len(whole.events or ())):
        assert cut.levels == []
    if len(cut.levels) < len(whole.levels):
        assert cut.metrics_left_out


FEED = FeedRecord("alpaca.iex", "venue", "venue", 15_000, 0.0213, NOW - 1200)
LONG_NUMBERS = {name: 12.3 * value for name, value in METRICS.items() if isinstance(value, float)}


of_five_minutes = st.builds(
    snapshot,
    st.lists(st.booleans(), max_size=9).map(
        lambda are_open: tuple(
            replace_event(event(i, is_open=is_open, strength=0.9), i)
            for i, is_open in enumerate(are_open)
        )
    ),
    ranks=st.fixed_dictionaries(dict.fromkeys(RANKED, st.floats(0, 1))),
    ranks_window=st.just("5min"),
    rank_windows=st.just(9.0),
    feed=st.sampled_from([None, FEED]),
    session=st.sampled_from([{}, SESSION]),
    cause=st.none() | st.just("its newest quote is 12 s old: check the broker"),
)


THREE_CLOSED = snapshot(
    tuple(replace_event(event(i, is_open=False, strength=0.9), i) for i in range(3)),
    ranks=dict.fromkeys(RANKED, 0.0),
    ranks_window="5min",
    rank_windows=9.0,
    feed=FEED,
    session=SESSION,
)


@settings(max_examples=100)
@given(of_five_minutes, st.none() | st.floats(1, 2400))
@example(THREE_CLOSED, None)
@example(THREE_CLOSED, 1000.0)
def test_an_hour_shows_no_fewer_events_than_five_minutes(
    five_minutes: TickerSnapshot, ready_in_seconds: float | None
) -> None:
    older = (an_hour_ago(i) for i in range(20))
    hour = replace(
        five_minutes,
        history_seconds=3600,
        ready_in_seconds=ready_in_seconds,
        metrics=METRICS | LONG_NUMBERS | {"covered_seconds": 3600 - (ready_in_seconds or 0)},
        ranked_metrics=five_minutes.metrics,
        events=(*(five_minutes.events or ()), *older),
    )

    shown, of_an_hour = (fit_to_budget(one, by(excess_tokens)) for one in (five_minutes, hour))

    assert len(of_an_hour.events or ()) >= len(shown.events or ())
    assert len(of_an_hour.ranks) + (of_an_hour.ranks_left_out or 0) == len(shown.ranks)
    assert tokens_of(of_an_hour)[0] <= MAX_TEXT_TOKENS


def an_hour_ago(i: int) -> EventRecord:
    """Return an event of the older half of an hour."""
    return msgspec.structs.replace(
        event(20 + i, is_open=False, strength=0.9),
        closed_at=NOW - 3_000_000,
        return_minutes=11.0,
    )


def test_a_brief_answer_fits_with_open_events_named() -> None:
    three = tuple(event(i, is_open=True, strength=0.9) for i in range(3))

    answer = fit_brief_to_budget(snapshot(three), by(excess_brief_tokens))

    assert max(tokens_of(answer)) <= MAX_BRIEF_TOKENS
    assert answer.open_patterns
    assert answer.metrics.ofi == METRICS["ofi"]
    assert answer.quality.counts == {"late": 3}
