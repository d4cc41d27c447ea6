"""Text and JSON of an answer: the same facts, read back from both."""

import json
import math
import re
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.analysis.pattern_table import CLOSE_REASONS
from app.answers.answer_model import Answer, Metrics
from app.answers.diagnosis import TickFailures
from app.answers.event_facts import event_facts
from app.answers.snapshot import TickerSnapshot
from app.answers.ticker_answer import build_answer, build_brief
from app.answers.ticker_text import as_text, event_line
from app.answers.utc_times import utc_clock
from app.storage.published import (
    BEHAVIORS,
    WORDS,
    EventRecord,
    FollowedRecord,
    LevelRecord,
    QualityRecord,
    Value,
)

NOW = 1_340_285_400_000.0

# What each word of the text stands for, written down a second time.
PAIRS = {
    "price": "bid_price ask_price",
    "size": "bid_size ask_size",
    "moved": "bid_price_movement ask_price_movement",
    "size change": "net_bid_size_change net_ask_size_change",
    "lifts": "bid_lift_count ask_lift_count",
    "drops": "bid_drop_count ask_drop_count",
    "mean size": "avg_bid_size avg_ask_size",
    "size trend": "bid_size_acceleration ask_size_acceleration",
    "large size": "large_bid_size large_ask_size",
    "large appeared": "large_bids_appeared large_asks_appeared",
}
SINGLES = {
    ("now bid/ask", "spread ticks"): "spread_ticks",
    ("now bid/ask", "weighted mid"): "weighted_mid",
    ("spread", "mean"): "avg_spread",
    ("spread", "least"): "min_spread",
    ("spread", "greatest"): "max_spread",
    ("spread", "mean bp"): "spread_bps",
    ("spread", "trend"): "spread_trend",
    ("flow", "quotes"): "quote_count",
    ("flow", "quotes/s"): "quotes_per_second",
    ("flow", "queue imbalance"): "queue_imbalance",
    ("flow", "ofi"): "ofi",
    ("flow", "log ofi"): "log_ofi",
    ("flow", "volatility bp"): "realized_volatility_bps",
    ("flow", "velocity/s"): "price_velocity",
    ("flow", "turnover/s"): "size_turnover",
    ("trades", "count"): "trade_count",
    ("trades", "by buyers"): "buy_volume",
    ("trades", "by sellers"): "sell_volume",
    ("trades", "unsigned"): "unsigned_volume",
    ("trades", "net"): "signed_volume",
    ("trades", "imbalance"): "trade_imbalance",
    ("trades", "vwap"): "vwap",
    ("trades", "effective bp"): "effective_spread_bps",
    ("trades", "inside"): "inside_volume",
}
STANDING = {"spread bp": "spread_bps", "mid moved bp": "mid_moved_bps"}
LABELS = {"now bid/ask", "window bid/ask", "spread", "flow", "trades"}
RANK = re.compile(r" p([0-9]{2})(?=/|$)")


def value_of(text: str) -> Value:
    try:
        number = float(text)
    except ValueError:
        return text
    return int(number) if number.is_integer() else number


def parts_in(text: str) -> list[tuple[str, str, str]]:
    """Return label, name and value of each part of the lines with numbers."""
    found = []
    for line in text.splitlines():
        label, _, rest = line.partition(": ")
        if label in LABELS:
            for part in rest.split(", "):
                name, _, said = RANK.sub("", part).rpartition(" ")
                found.append((label, name, said))
    return found


def metrics_in(text: str) -> dict[str, Value]:
    """Read the metrics back from an answer's text."""
    found: dict[str, Value] = {}
    for label, name, said in parts_in(text):
        if name in PAIRS:
            fields = zip(PAIRS[name].split(), said.split("/"), strict=True)
            found |= {field: value_of(one) for field, one in fields if one != "-"}
        elif name not in STANDING:
            found[SINGLES[label, name]] = value_of(said)
    return found


def behaviors_in(text: str) -> dict[str, str]:
    """Read the behaviours back from an answer's text."""
    found: dict[str, str] = {}
    [line] = [line for line in text.splitlines() if line.startswith("behaviors ")]
    if line.endswith(": none on"):
        return dict.fromkeys(BEHAVIORS, "off")
    for part in line.partition(": ")[2].split("; "):
        state, _, names = part.partition(": ")
        if part == "none on":
            continue
        if names.startswith("the other "):
            others = [name for name in BEHAVIORS if name not in found]
            assert len(others) == int(names.removeprefix("the other "))
            return found | dict.fromkeys(others, state)
        for name in names.split(", "):
            behavior, _, direction = name.partition(" ")
            found[behavior] = state.replace("unknown ", "unknown: ")
            if direction:
                found[behavior.removesuffix("_building") + "_direction"] = direction
    return found


def event(**changed: Any) -> EventRecord:
    made = EventRecord(
        id="SPY~k3f9x2ab",
        type="absorption",
        side="bid",
        status="open",
        opened_at=NOW - 31_000,
        noticed_at=NOW - 30_000,
        updated_at=NOW,
        evidence_class="A",
        price_low=585.3,
        price_high=585.31,
        strength=0.934,
        statistic=2.123456,
        threshold=1.5,
        evidence={"flow_shares": -3400.0, "kind": "native"},
    )
    return EventRecord(**({f: getattr(made, f) for f in EventRecord.__struct_fields__} | changed))


def level(**changed: Any) -> LevelRecord:
    fields = {
        "price": 585.3,
        "side": "bid",
        "appearances": 12,
        "size": 210.25,
        "first_seen": NOW - 60_000,
        "last_seen": NOW - 3000,
        "held": 5,
        "broke": 3,
    }
    return LevelRecord(**(fields | changed))


def snapshot(**changed: Any) -> TickerSnapshot:
    made = TickerSnapshot(
        ticker="SPY",
        now_ms=NOW,
        as_of_ms=int(NOW) - 1000,
        history_seconds=300,
        newest_quote_ms=NOW - 400,
        evidence_class="A",
        metrics={"covered_seconds": 300.0, "bid_price": 585.33, "ask_price": 585.94},
        behaviors=dict.fromkeys(BEHAVIORS, "off"),
        engine="1",
    )
    return replace(made, **changed)


numbers = st.floats(-1e9, 1e9) | st.integers(-(10**9), 10**9)
metric_values = st.fixed_dictionaries(
    {},
    optional={
        name: st.sampled_from(sorted(WORDS[name]))
        if name in WORDS
        else (numbers.map(int) if field.annotation == int | None else numbers)
        for name, field in Metrics.model_fields.items()
    },
)


@given(metric_values)
def test_text_and_json_carry_the_same_metrics(metrics: dict[str, Value]) -> None:
    answer = build_answer(snapshot(metrics=metrics))

    assert metrics_in(as_text(answer)) == answer.as_json()["metrics"]


@given(metric_values)
def test_rounding_keeps_four_digits_or_whole_units(metrics: dict[str, Value]) -> None:
    said = build_answer(snapshot(metrics=metrics)).as_json()["metrics"]

    for name, value in metrics.items():
        if not isinstance(value, str):
            assert math.isclose(said[name], value, rel_tol=5.1e-4, abs_tol=5.1e-9), name


states = st.sampled_from(
    ["on", "off", "unknown: warming, 3 of 40 samples", "unknown: no trades come"]
)


@given(st.dictionaries(st.sampled_from(BEHAVIORS), states, min_size=1))
def test_text_and_json_carry_the_same_behaviors(behaviors: dict[str, str]) -> None:
    if behaviors.get("quote_pressure") == "on":
        behaviors["quote_pressure_direction"] = "down"

    answer = build_answer(snapshot(behaviors=behaviors))

    assert behaviors_in(as_text(answer)) == answer.as_json()["behaviors"]
    assert "warming" not in str(answer.behaviors)


def test_text_and_json_carry_the_same_event() -> None:
    closed = event(
        status="closed",
        closed_at=NOW - 11_000,
        close_reason="faded",
        return_minutes=48.3,
        evidence={"level_shares": 937.0},
    )

    answer = build_answer(snapshot(events=(closed,)))

    words = (
        "bid 585.3..585.31: absorbed 937 sold in 30 s; once in 48 min; "
        "noticed 13:29:30, faded 13:29:49"
    )
    assert answer.as_json()["events"] == [
        {
            "id": "SPY~k3f9x2ab",
            "type": "absorption",
            "side": "bid",
            "status": "closed",
            "words": words,
            "noticed_at": 1_340_285_370_000,
            "closed_at": 1_340_285_389_000,
            "price_low": 585.3,
            "price_high": 585.31,
            "return_minutes": 48.3,
        }
    ]
    assert f"- {words} (11 s ago); SPY~k3f9x2ab" in as_text(answer).splitlines()


def test_an_event_without_duration_is_as_old_as_its_notice() -> None:
    sweep = event(
        type="sweep", status="closed", closed_at=NOW - 29_000, close_reason="elapsed", evidence={}
    )

    text = as_text(build_answer(snapshot(events=(sweep,))))

    assert "at 13:29:29 (30 s ago)" in text


@pytest.mark.parametrize("reason", sorted(CLOSE_REASONS))
def test_a_reason_is_said_once(reason: str) -> None:
    closed = event(status="closed", closed_at=NOW - 11_000, close_reason=reason)

    assert "ended:" not in event_line(event_facts(closed), int(NOW))


def test_what_followed_is_told_as_past_and_once() -> None:
    past = FollowedRecord(
        n=412, mean_bps=-0.123, low_bps=-0.5, high_bps=0.25, baseline_mean_bps=0.01
    )
    two = (event(return_minutes=48.0), event(id="SPY~k3f9x2ac", return_minutes=30.0))

    known = build_answer(snapshot(events=two, followed={("absorption", "bid"): past}))
    few = build_answer(snapshot(events=two, followed={("absorption", "bid"): FollowedRecord(n=29)}))

    said = (
        "60 s after 412 such, the mid had moved -0.12 bp on average "
        "(95 % interval -0.5..0.25; usual 0.01)"
    )
    assert [shown.followed for shown in known.events or ()] == [said, None]
    assert as_text(known).count(said) == 1
    assert [shown.followed for shown in few.events or ()] == [None, None]


def test_text_and_json_carry_the_same_level() -> None:
    answer = build_answer(snapshot(levels=(level(),)))

    assert answer.as_json()["levels"] == [
        {
            "side": "bid",
            "price": 585.3,
            "size": 210.2,
            "appearances": 12,
            "held": 5,
            "broke": 3,
            "unseen_seconds": 2,
            "distance_bps": -5.72,
        }
    ]
    assert "- bid 585.3: 210.2, 12, 5/3, 2, -5.72" in as_text(answer).splitlines()


def test_age_coverage_and_evidence_head_every_answer() -> None:
    answer = build_answer(snapshot())

    evidence = "evidence A (aggressors given), engine 1"
    assert as_text(answer).splitlines()[:2] == [
        "SPY: too early to say what is usual for this ticker",
        "last 300 s, covered 300 s, as of 13:29:59 UTC (1.0 s ago), quote 0.4 s ago, " + evidence,
    ]
    said = answer.as_json()
    assert (said["age_seconds"], said["newest_quote_age_seconds"]) == (1, 0.4)


def test_what_is_wrong_is_said_before_the_numbers() -> None:
    answer = build_answer(
        snapshot(
            stale=True,
            quiet=True,
            ready_in_seconds=257.5,
            cause="its tick is late",
            failures=TickFailures(7, NOW - 2000, "ValueError"),
            evidence_class="C",
            quality=QualityRecord({"late": 3}, ((NOW - 9000, NOW - 4000),), NOW - 8000, ("wall",)),
        )
    )

    lines = as_text(answer).splitlines()
    assert lines[0].startswith("SPY: STALE; QUIET; WARMING; ")
    assert lines[2:7] == [
        "STALE: no tick for over 3 intervals",
        "QUIET: no quote of SPY for unusually long",
        "WARMING: younger than the history, ready in 258 s",
        "note: its tick is late",
        "failed ticks: 7, last 2.0 s ago, ValueError",
    ]
    assert "not observable: trades" in lines
    assert lines[-1] == "quality: late 3, gaps 5 s, rebuilt 8.0 s ago, failed detectors wall"
    said = answer.as_json()
    assert said["failed_ticks"] == {
        "count": 7,
        "last_at": 1_340_285_398_000,
        "error": "ValueError",
    }
    assert said["quality"] == {
        "counts": {"late": 3},
        "gap_seconds": 5,
        "rebuilt_at": 1_340_285_392_000,
        "failed_detectors": ["wall"],
    }
    assert (said["stale"], said["quiet"], said["warming"], said["ready_in_seconds"]) == (
        True,
        True,
        True,
        258,
    )
    assert (said["note"], said["not_observable"]) == ("its tick is late", ["trades"])


def test_the_json_of_an_answer_fits_its_schema_without_nulls() -> None:
    answer = build_answer(snapshot(as_of_ms=None, metrics={}, behaviors={}, engine=None))

    text = json.dumps(answer.as_json())

    assert "null" not in text
    assert Answer.model_validate_json(text) == answer
    assert "null" not in json.dumps(Answer.model_json_schema())


def test_no_number_is_written_with_an_exponent() -> None:
    text = as_text(build_answer(snapshot(metrics={"price_velocity": 1.5e-9, "ofi": 1e15})))

    assert not re.search(r"\de[-+]", text)


RANKS = {"ofi": 0.97, "log_ofi": 0.99, "spread_bps": 0.04, "trade_imbalance": 0.5, "vwap": 0.99}
NUMBERS = {"ofi": 9479.0, "log_ofi": 31.2, "spread_bps": 1.234, "trade_imbalance": 0.1}


def test_a_rank_never_stands_beside_a_number_of_another_time() -> None:
    # Over the hour the flow was negative; over the last five minutes it was unusually positive.
    hour = snapshot(
        history_seconds=3600,
        metrics={"ofi": -4650.0},
        ranks={"ofi": 0.97},
        ranks_window="5min",
        ranked_metrics={"ofi": 9479.0},
    )

    text = as_text(build_answer(hour))

    assert build_answer(hour).headline == (
        "order flow imbalance +9,479 in the last 5min, above usual (p97)"
    )
    assert "ofi -4650 p" not in text
    assert (
        "ranks of the last 5min alone (p91: 91 % of this ticker's past 5min windows were below): "
        "ofi p97"
    ) in text.splitlines()


def test_what_floats_leave_of_no_distance_is_none() -> None:
    metrics = {"bid_price": 586.33, "ask_price": 586.47}

    answer = build_answer(snapshot(metrics=metrics, levels=(level(price=586.4, side="ask"),)))

    assert answer.levels[0].distance_bps == 0


def test_ranks_stand_beside_their_numbers_in_both_forms() -> None:
    answer = build_answer(snapshot(metrics=NUMBERS, ranks=RANKS, ranks_window="5min"))

    text = as_text(answer)
    assert "ofi 9479 p97" in text
    assert "mean bp 1.234 p04" in text
    assert "this ticker's past 5min windows" in text
    assert answer.ranks["ofi"] == 0.97
    assert "vwap" not in answer.ranks
    assert answer.ranks_window == "5min"


def test_the_first_line_tells_the_rarest_event_and_the_farthest_numbers() -> None:
    rare = event(return_minutes=95.0, at_least=True, evidence={"level_shares": 937.0})

    known = build_answer(snapshot(metrics=NUMBERS, ranks=RANKS, events=(rare,)))
    usual = build_answer(snapshot(metrics=NUMBERS, ranks={"ofi": 0.6}))

    assert as_text(known).splitlines()[0] == (
        "SPY: bid 585.3..585.31: absorbed 937 sold in 30 s (once in over 95 min, open); "
        "log order flow imbalance +31.2, above usual (p99); mean spread 1.23 bp, below usual (p04)"
    )
    assert usual.headline == "nothing far from usual"


def test_the_first_line_says_from_when_to_when_a_past_event_lasted() -> None:
    ended = NOW - 20_000
    past = event(return_minutes=95.0, status="closed", closed_at=ended, close_reason="broke")

    said = build_answer(snapshot(metrics=NUMBERS, events=(past,))).headline

    lasted = f"{utc_clock(past.noticed_at)} to {utc_clock(ended)}"
    assert f"(once in 95 min, {lasted})" in said


def test_an_event_that_ended_within_its_second_is_told_in_the_order_of_time() -> None:
    ended = NOW - 30_400
    past = event(return_minutes=95.0, status="closed", closed_at=ended, close_reason="broke")

    answer = build_answer(snapshot(metrics=NUMBERS, events=(past,)))

    assert f"(once in 95 min, until {utc_clock(ended)})" in answer.headline
    [shown] = answer.events
    assert shown.words.endswith(
        f"price broke {utc_clock(ended)}, noticed {utc_clock(past.noticed_at)}"
    )


def test_the_first_line_and_the_event_say_the_same_time_of_a_point() -> None:
    past = event(type="sweep", side="ask", opened_at=NOW - 30_900, return_minutes=95.0)

    answer = build_answer(snapshot(metrics=NUMBERS, events=(past,)))

    at = f"at {utc_clock(past.opened_at)}"
    [shown] = answer.events
    assert f"{at})" in answer.headline
    assert shown.words.endswith(at)


def test_nothing_is_said_of_events_that_were_not_asked_for() -> None:
    usual = snapshot(metrics=NUMBERS, ranks={"ofi": 0.6}, events=None)
    past = snapshot(events=None, asked_at_ms=NOW + 60_000)

    assert build_answer(usual).headline == "no number far from usual"
    assert build_answer(past).headline == "ranks are not kept"


def test_an_answer_of_an_earlier_moment_says_nothing_of_now() -> None:
    metrics = {"bid_price": 586.33, "ask_price": 586.47}
    found = event(status="closed", closed_at=NOW - 20_000, close_reason="broke")

    past = snapshot(metrics=metrics, behaviors={}, events=(found,), asked_at_ms=NOW + 9e6)
    text = as_text(build_answer(past))

    assert "then bid/ask: price 586.33/586.47" in text
    assert "(20 s before)" in text
    assert re.search(r", quote [\d.]+ s before, ", text)
    assert not re.search(r"\bnow\b|\bago\b", text)


@pytest.mark.parametrize(
    ("minutes", "order"),
    [
        ((30.0, 20.0), ", rarest first "),
        ((30.0, None), ", rarest first, then unranked "),
        ((None, None), ", too few before to rank: greatest of each type first "),
        ((None,), " "),
    ],
)
def test_the_order_of_events_is_said_as_it_is(
    minutes: tuple[float | None, ...], order: str
) -> None:
    kinds = zip(("wall", "sweep"), minutes, strict=False)
    events = tuple(
        event(id=f"SPY~aaaaaaa{kind[0]}", type=kind, return_minutes=each) for kind, each in kinds
    )

    text = as_text(build_answer(snapshot(events=events)))

    assert f"\nevents: {len(minutes)}{order}(bid/ask: the resting side; UTC)\n" in text


def test_who_pressed_is_said_with_both_volumes() -> None:
    metrics = {"trade_imbalance": 0.786, "buy_volume": 9108.0, "sell_volume": 1093.0}

    answer = build_answer(snapshot(metrics=metrics, ranks={"trade_imbalance": 0.98}))

    said = "aggressors bought 9,108, sold 1,093: imbalance above usual (p98)"
    assert answer.headline == said


def test_a_rank_in_the_first_line_is_that_of_the_number_it_names() -> None:
    """An imbalance may be rare where the net volume is not: each is said by its own name."""
    metrics = {"trade_imbalance": -0.156, "signed_volume": -3866.0}
    volumes = {"buy_volume": 10_466.0, "sell_volume": 14_332.0}

    def told(ranks: dict[str, float]) -> str:
        return build_answer(snapshot(metrics=metrics | volumes, ranks=ranks)).headline

    who = "aggressors bought 10,466, sold 14,332"
    assert told({"trade_imbalance": 0.08, "signed_volume": 0.13}) == (
        f"{who}: imbalance below usual (p08)"
    )
    assert told({"trade_imbalance": 0.13, "signed_volume": 0.08}) == f"{who}: net below usual (p08)"


def test_the_standing_spread_and_the_mids_move_are_told_apart_from_means() -> None:
    metrics = {
        "bid_price": 224.26,
        "ask_price": 224.35,
        "bid_price_movement": -0.05,
        "ask_price_movement": -0.09,
        "spread_bps": 12.0,
    }

    answer = build_answer(snapshot(metrics=metrics))

    assert answer.standing is not None
    assert answer.standing.spread_bps == 4.01
    assert answer.standing.mid_moved_bps == -3.12
    assert "now bid/ask: price 224.26/224.35, spread bp 4.01" in as_text(answer)
    assert "mid moved bp -3.12" in as_text(answer)
    assert "spread: mean bp 12" in as_text(answer)


def test_what_a_float_leaves_of_zero_is_told_as_zero() -> None:
    answer = build_answer(snapshot(metrics={"unsigned_volume": -8.52651e-14}))

    assert answer.as_json()["metrics"] == {"unsigned_volume": 0}
    assert "unsigned 0" in as_text(answer)


def test_a_metric_that_is_absent_for_want_of_past_is_named() -> None:
    young = build_answer(snapshot(metrics={"quote_count": 500}))
    known = build_answer(
        snapshot(
            metrics={
                "quote_count": 500,
                "log_ofi": 1.0,
                "large_bids_appeared": 1,
                "large_asks_appeared": 0,
            }
        )
    )

    names = ["log_ofi", "large_bids_appeared", "large_asks_appeared"]
    assert young.warming_metrics == names
    assert f"known only in part of the history: {', '.join(names)}" in as_text(young)
    assert known.warming_metrics == []


def test_a_brief_answer_keeps_the_directions_of_what_is_on() -> None:
    behaviors = dict.fromkeys(BEHAVIORS, "off") | {
        "quote_pressure": "on",
        "quote_pressure_direction": "down",
    }

    brief = build_brief(snapshot(behaviors=behaviors))

    assert brief.behaviors == {"quote_pressure": "on", "quote_pressure_direction": "down"}
    assert "on: quote_pressure down" in as_text(brief)


def test_events_left_out_are_counted_by_type_and_side_beside_their_usual_number() -> None:
    routine = [
        event(id=f"SPY~routin{i:02}", type="hidden_print", return_minutes=2.0) for i in range(7)
    ]
    past = FollowedRecord(n=700, mean_bps=0.0, low_bps=0.0, high_bps=0.0, baseline_n=23_400)

    answer = build_answer(snapshot(events=tuple(routine), followed={("hidden_print", "bid"): past}))

    assert answer.events == []
    assert answer.events_left_out == 7
    assert answer.other_events == {"hidden_print bid": [7, 9]}
    assert "left out: 7 hidden_print bid (usual 9)" in as_text(answer)


def test_of_kinds_with_few_or_no_earlier_events_the_usual_number_is_told_too() -> None:
    """What comes more often than ever before is what an answer is read for."""
    often = [event(id=f"SPY~aften{i:03}", type="sweep", return_minutes=2.0) for i in range(13)]
    first = event(id="SPY~firstaaa", type="pulling", return_minutes=3.0)
    followed = {
        ("wall", "bid"): FollowedRecord(n=40, mean_bps=0.0, baseline_n=3_000),
        ("wall", "ask"): FollowedRecord(n=30, mean_bps=0.0, baseline_n=1_800),
        ("sweep", "bid"): FollowedRecord(n=22, blocks=8, insufficient=True),
    }
    events = (*often, first)

    answer = build_answer(snapshot(events=events, followed=followed))
    young = build_answer(
        snapshot(
            events=events, followed={("sweep", "bid"): FollowedRecord(n=22, insufficient=True)}
        )
    )

    assert answer.other_events == {"sweep bid": [13, 2.2], "pulling bid": [1, 0]}
    assert "left out: 13 sweep bid (usual 2.2), 1 pulling bid (usual 0)" in as_text(answer)
    assert young.other_events == {"sweep bid": [13], "pulling bid": [1]}


def test_the_usual_number_is_of_the_time_that_is_known() -> None:
    routine = event(type="hidden_print", return_minutes=2.0)
    past = FollowedRecord(n=700, mean_bps=0.0, low_bps=0.0, high_bps=0.0, baseline_n=23_400)
    known = {"events": (routine,), "followed": {("hidden_print", "bid"): past}}

    covered_half = build_answer(snapshot(metrics={"covered_seconds": 150.0}, **known))
    an_hour = build_answer(snapshot(history_seconds=3600, **known))

    assert covered_half.other_events == {"hidden_print bid": [1, 4.5]}
    # Weak events of over 10 min ago are no longer kept: their number can't be compared.
    assert an_hour.other_events == {"hidden_print bid": [1]}


def test_a_brief_answer_never_lists_a_routine_event_before_one_not_yet_ranked() -> None:
    routine = [event(id=f"SPY~routin{i:02}", type="wall", return_minutes=2.0) for i in range(6)]
    new = event(id="SPY~newnew22", type="iceberg", return_minutes=None)

    brief = build_brief(snapshot(events=(*routine, new)))

    assert brief.open_patterns is not None
    assert brief.open_patterns[0] == "iceberg bid"
