"""Events in words: what, where, how much, how rare, when, and how it ended."""

import re
from typing import Any

import pytest

from app.analysis.pattern_table import CLOSE_REASONS, PATTERNS, Pattern
from app.answers.event_facts import event_facts
from app.answers.event_words import TEMPLATES, how_rare, in_words, what_happened, when
from app.answers.ticker_text import event_line
from app.storage.published import EventRecord
from tests.contract.words import forbidden_in_answer

NOTICED = 1_340_285_400_000.0 + 13_000
COMPUTED = {"side", "regime", "taken", "takers", "move", "moved", "usual_ticks", "kind_words"}


def event(**changed: Any) -> EventRecord:
    fields: dict[str, Any] = {
        "id": "SPY~k3f9x2ab",
        "type": "absorption",
        "side": "ask",
        "status": "open",
        "opened_at": NOTICED - 30_000,
        "noticed_at": NOTICED,
        "updated_at": NOTICED,
        "evidence_class": "A",
        "price_low": 224.39,
        "price_high": 224.39,
        "statistic": 3.0,
        "threshold": 1.5,
        "evidence": {},
    }
    return EventRecord(**(fields | changed))


def test_an_absorption_tells_how_much_was_taken_and_how_it_ended() -> None:
    told = in_words(
        event(
            evidence={"level_shares": 937.0, "moved_ticks": 0.5, "expected_ticks": 6.0},
            return_minutes=48.2,
            status="closed",
            closed_at=NOTICED + 17_000,
            close_reason="faded",
        )
    )

    assert told == (
        "ask 224.39: absorbed 937 bought in 30 s, mid rose 0.5 ticks, "
        "usual rise 6; "
        "once in 48 min; noticed 13:30:13, faded 13:30:30"
    )


def test_an_iceberg_tells_its_refills() -> None:
    evidence = {"refills": 5, "displayed_shares": 100.0, "executed_shares": 1200.0}

    assert what_happened(event(type="iceberg", evidence=evidence)) == (
        "ask 224.39: iceberg, 5 refills, 100 shown first, 1,200 executed"
    )


@pytest.mark.parametrize(("kind", "reason"), [("sweep", None), ("wall", "elapsed")])
def test_of_a_point_no_reason_of_an_end_is_told(kind: str, reason: str | None) -> None:
    closed = event(type=kind, status="closed", closed_at=NOTICED + 1000, close_reason="elapsed")

    facts = event_facts(closed)

    assert facts.close_reason == reason
    assert "ended: " not in event_line(facts, round(NOTICED) + 5000)


@pytest.mark.parametrize(
    ("side", "moved_ticks", "said"),
    [
        ("ask", 1.5, "mid rose 1.5 ticks, usual rise 9"),
        ("ask", -3.0, "mid fell 3 ticks, usual rise 9"),
        ("bid", 1.5, "mid fell 1.5 ticks, usual fall 9"),
        ("bid", -0.5, "mid rose 0.5 ticks, usual fall 9"),
    ],
)
def test_an_absorption_tells_which_way_the_mid_went(
    side: str, moved_ticks: float, said: str
) -> None:
    evidence = {"level_shares": 937.0, "moved_ticks": moved_ticks, "expected_ticks": 9.0}

    assert what_happened(event(side=side, evidence=evidence)).endswith(f" in 30 s, {said}")


@pytest.mark.parametrize(
    ("kind", "native_refills", "through_refills", "said"),
    [
        ("native", 0, 2, "native: 2 within a print"),
        ("native", 4, 0, "native: 4 in 1 ms"),
        ("synthetic", 1, 0, "synthetic"),
    ],
)
def test_a_native_iceberg_tells_which_refills_make_it_native(
    kind: str, native_refills: int, through_refills: int, said: str
) -> None:
    counts = {"native_refills": native_refills, "through_refills": through_refills}
    evidence = {"refills": 5, "kind": kind, **counts}

    told = what_happened(event(type="iceberg", evidence=evidence))

    assert told == f"ask 224.39: iceberg, 5 refills, {said}"


def test_a_quote_burst_tells_what_it_counts() -> None:
    evidence = {"quotes_per_second": 103, "trades_per_second": 1}

    told = what_happened(event(type="quote_burst", side="both", evidence=evidence))

    assert told == "quote burst, 103 quotes in 1 s, 1 print"


def test_a_sweep_says_who_took_and_when_without_an_end() -> None:
    sweep = event(
        type="sweep",
        side="bid",
        price_low=224.3,
        status="closed",
        closed_at=NOTICED,
        close_reason="elapsed",
        evidence={"size_shares": 1500.0, "prices": 3},
    )

    assert what_happened(sweep) == (
        "bid 224.3..224.39: sweep by aggressive sellers, 1,500 through 3 prices"
    )
    assert when(sweep) == "at 13:29:43"


@pytest.mark.parametrize("side", ["tight", "both"])
def test_a_spread_regime_tells_its_side_whatever_its_form(side: str) -> None:
    evidence = {"spread_ticks": 9, "median_spread": 0.03, "ratio": 3.0}
    evidence |= {} if side == "tight" else {"regime": "wide"}

    told = what_happened(event(type="spread_regime", side=side, price_low=None, evidence=evidence))

    regime = "tight" if side == "tight" else "wide"
    usual = 27 if side == "tight" else 3
    assert told == f"spread regime {regime}, 9 ticks, usual {usual} ticks"


def test_how_rare_an_event_is_or_that_it_can_not_be_told() -> None:
    assert how_rare(event(return_minutes=48.2)) == "once in 48 min"
    assert how_rare(event(return_minutes=95.0, at_least=True)) == "once in over 95 min"
    assert how_rare(event()) == "unranked, 2 x its threshold"
    assert how_rare(event(statistic=None)) == "size then not kept"


def test_every_pattern_has_a_template_of_its_own_evidence() -> None:
    for row in PATTERNS:
        known = {field.name for field in row.evidence} | COMPUTED
        said = {name for part in TEMPLATES[row.type] for name in re.findall(r"\{(\w+)\}", part)}
        assert said <= known, row.type


def test_a_trade_burst_tells_who_traded_and_how_much() -> None:
    evidence = {"volume_shares": 4200.0, "prints": 17, "mid_move": 0.03}

    assert what_happened(event(type="trade_burst", price_low=None, evidence=evidence)) == (
        "ask: trade burst by aggressive buyers, 4,200 in 17 prints within 10 s, mid rose 0.03"
    )


def with_evidence(row: Pattern, *, known: bool) -> EventRecord:
    evidence = {field.name: field.words[0] if field.words else 1234.5 for field in row.evidence}
    return event(type=row.type, side=row.sides[0], evidence=evidence if known else {})


@pytest.mark.parametrize("row", PATTERNS, ids=lambda row: row.type)
@pytest.mark.parametrize("evidence", ["known", "missing"])
@pytest.mark.parametrize("reason", [None, *sorted(CLOSE_REASONS)])
def test_every_event_is_told_without_question_marks_or_advice(
    row: Pattern, evidence: str, reason: str | None
) -> None:
    closed: dict[str, Any] = {"status": "closed", "closed_at": NOTICED, "close_reason": reason}
    one = with_evidence(row, known=evidence == "known")
    fields = {name: getattr(one, name) for name in EventRecord.__struct_fields__}

    told = in_words(EventRecord(**(fields | (closed if reason else {}))))

    assert row.type.replace("_", " ") in told or "absorbed" in told
    assert "?" not in told
    assert "None" not in told
    assert "{" not in told
    assert not forbidden_in_answer(told)


def test_tiny_prices_and_sizes_are_written_without_exponents() -> None:
    told = what_happened(
        event(
            type="iceberg",
            price_low=0.00000123,
            price_high=0.00000123,
            evidence={"refills": 3, "displayed_shares": 0.0000045, "executed_shares": 12_345_678.9},
        )
    )

    assert told == "ask 0.00000123: iceberg, 3 refills, 0.0000045 shown first, 12,345,679 executed"


@pytest.mark.parametrize(
    ("ticks", "said"),
    [(2.1, "2.1 ticks"), (0.1, "0.1 ticks"), (1, "1 tick"), (1_001, "1,001 ticks")],
)
def test_only_one_whole_tick_is_a_single_one(ticks: float, said: str) -> None:
    evidence = {"level_shares": 937.0, "moved_ticks": ticks, "expected_ticks": 2000}

    assert f"mid rose {said}, " in what_happened(event(evidence=evidence))


def test_an_event_is_named_where_its_main_number_is_missing() -> None:
    told = what_happened(event(evidence={"moved_ticks": 0, "expected_ticks": 4}))

    said = "absorption, mid did not move, usual rise 4"
    assert told == f"ask 224.39: {said}"


@pytest.mark.parametrize(
    ("kind", "side", "said"),
    [
        ("momentum_shift", "down", "momentum shift down"),
        ("spread_regime", "wide", "spread regime wide"),
        ("quote_burst", "both", "quote burst"),
    ],
)
def test_the_shortest_form_keeps_the_direction(kind: str, side: str, said: str) -> None:
    assert what_happened(event(type=kind, side=side, price_low=None), most_parts=0) == said


@pytest.mark.parametrize("size", [1e-13, 0.0000045, 1e17])
def test_no_size_or_move_is_written_with_an_exponent(size: float) -> None:
    told = what_happened(event(type="trade_burst", evidence={"mid_move": size}))

    assert float(told.split()[-1].replace(",", "")) == size
    assert "e" not in told.split()[-1]


def test_a_silence_is_told_as_over_when_the_event_ended_not_as_begun_then() -> None:
    # An iceberg closes 60 s after its newest refill: the silence began before its end.
    ended = event(
        type="iceberg", status="closed", closed_at=NOTICED + 60_000, close_reason="silence"
    )

    assert when(ended) == "noticed 13:30:13, ended by silence 13:31:13"
