"""Text and JSON of an answer: the same facts, read back from both."""

import json
import math
import re
from dataclasses import replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from app.answers.diagnosis import TickFailures
from app.answers.event_selection import MAX_EVENTS
from app.answers.level_selection import MAX_LEVELS_A_SIDE
from app.answers.reader import TickerSnapshot
from app.answers.ticker_answer import Answer, Metrics, build_answer
from app.answers.ticker_text import as_text
from app.storage.published import BEHAVIORS, WORDS, EventRecord, LevelRecord, QualityRecord, Value

NOW = 1_340_285_400_000.0

# What each word of the text stands for, written down a second time.
PAIRS = {
    "price": "bid_price ask_price",
    "size": "bid_size ask_size",
    "moved": "bid_price_movement ask_price_movement",
    "size change": "net_bid_size_change net_ask_size_change",
    "lifts": "bid_lift_count ask_lift_count",
    "drops": "bid_drop_count ask_drop_count",
    "avg size": "avg_bid_size avg_ask_size",
    "size trend": "bid_size_acceleration ask_size_acceleration",
    "large size": "large_bid_size large_ask_size",
    "large appeared": "large_bids_appeared large_asks_appeared",
}
SINGLES = {
    ("spread", "avg"): "avg_spread",
    ("spread", "min"): "min_spread",
    ("spread", "max"): "max_spread",
    ("spread", "bp"): "spread_bps",
    ("spread", "ticks"): "spread_ticks",
    ("spread", "trend"): "spread_trend",
    ("spread", "weighted mid"): "weighted_mid",
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


def value_of(text: str) -> Value:
    try:
        number = float(text)
    except ValueError:
        return text
    return int(number) if number.is_integer() else number


def metrics_in(text: str) -> dict[str, Value]:
    """Read the metrics back from an answer's text."""
    found: dict[str, Value] = {}
    for line in text.splitlines():
        label, _, rest = line.partition(": ")
        if label not in ("book bid/ask", "spread", "flow", "trades"):
            continue
        for part in rest.split(", "):
            name, _, said = part.rpartition(" ")
            if label == "book bid/ask":
                fields = zip(PAIRS[name].split(), said.split("/"), strict=True)
                found |= {field: value_of(one) for field, one in fields if one != "-"}
            else:
                found[SINGLES[label, name]] = value_of(said)
    return found


def behaviors_in(text: str) -> dict[str, str]:
    """Read the behaviours back from an answer's text."""
    found: dict[str, str] = {}
    [line] = [line for line in text.splitlines() if line.startswith("behaviors ")]
    for part in line.removeprefix("behaviors ").split("; "):
        state, _, names = part.partition(": ")
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


def test_text_and_json_carry_the_same_event() -> None:
    closed = event(status="closed", closed_at=NOW - 11_000, close_reason="faded")

    answer = build_answer(snapshot(events=(closed,)))

    assert answer.as_json()["events"] == [
        {
            "id": "SPY~k3f9x2ab",
            "type": "absorption",
            "side": "bid",
            "status": "closed",
            "opened_at": 1_340_285_369_000,
            "closed_at": 1_340_285_389_000,
            "close_reason": "faded",
            "price_low": 585.3,
            "price_high": 585.31,
            "strength": 0.93,
            "evidence_class": "A",
            "statistic": 2.12,
            "threshold": 1.5,
        }
    ]
    assert (
        "- absorption bid 585.3..585.31, 31 s to 11 s ago (faded), 0.93, 2.12/1.5, A, SPY~k3f9x2ab"
    ) in as_text(answer).splitlines()


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
            "last_seen": 1_340_285_397_000,
            "distance_bps": 5.72,
        }
    ]
    assert "- bid 585.3: 210.2, 12, 5/3, 3, 5.72" in as_text(answer).splitlines()


def test_age_coverage_and_evidence_head_every_answer() -> None:
    answer = build_answer(snapshot())

    assert as_text(answer).splitlines()[0] == (
        "SPY: last 300 s, covered 300 s, as of 1.0 s ago, quote 0.4 s ago, "
        "evidence A (aggressors given), engine 1"
    )
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
    assert lines[1:6] == [
        "STALE: no tick for over 3 intervals",
        "QUIET: no quote for unusually long",
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


def test_open_and_strong_events_are_kept_and_the_rest_counted() -> None:
    strengths = [0.1, 0.9, None, 0.5, 0.7, 0.3, 0.2]
    closed = [
        event(id=f"SPY~closed{i:02}", status="closed", closed_at=NOW, strength=strength)
        for i, strength in enumerate(strengths)
    ]
    weak_but_open = event(id="SPY~stillopn", strength=0.05)

    answer = build_answer(snapshot(events=(*closed, weak_but_open)))

    assert answer.events is not None
    assert [shown.strength for shown in answer.events] == [0.05, 0.9, 0.7, 0.5, 0.3]
    assert len(answer.events) == MAX_EVENTS
    assert answer.events_left_out == 3
    assert "events: 5 shown, 3 left out (strength" in as_text(answer)


def test_the_most_significant_levels_of_each_side_are_kept() -> None:
    levels = [
        level(side=side, price=500.0 + n, size=n) for side in ("ask", "bid") for n in range(1, 6)
    ]

    answer = build_answer(snapshot(levels=tuple(levels)))

    assert [(shown.side, shown.size) for shown in answer.levels] == [
        ("bid", 5),
        ("bid", 4),
        ("bid", 3),
        ("ask", 5),
        ("ask", 4),
        ("ask", 3),
    ]
    assert len(answer.levels) == 2 * MAX_LEVELS_A_SIDE
    assert answer.levels_left_out == 4


def test_a_last_sweep_is_told_once() -> None:
    sweep = event(type="sweep", side="ask", id="SPY~sweepaaa")

    listed = build_answer(snapshot(events=(sweep,), last_sweep=sweep))
    alone = build_answer(snapshot(events=(), last_sweep=sweep))

    assert "last_sweep" not in listed.as_json()
    assert as_text(listed).count("SPY~sweepaaa") == 1
    assert alone.as_json()["last_sweep"]["id"] == "SPY~sweepaaa"
    assert "last sweep: sweep ask" in as_text(alone)


def test_the_json_of_an_answer_fits_its_schema_without_nulls() -> None:
    answer = build_answer(snapshot(as_of_ms=None, metrics={}, behaviors={}, engine=None))

    text = json.dumps(answer.as_json())

    assert "null" not in text
    assert Answer.model_validate_json(text) == answer
    assert "null" not in json.dumps(Answer.model_json_schema())


def test_no_number_is_written_with_an_exponent() -> None:
    text = as_text(build_answer(snapshot(metrics={"price_velocity": 1.5e-9, "ofi": 1e15})))

    assert not re.search(r"\de[-+]", text)
