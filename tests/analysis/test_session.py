"""A session's numbers are those of their plain definitions, whatever the day is like."""

import random
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from app.analysis.engine import Engine
from app.analysis.records import Batch, Quote, Trade
from app.analysis.session import SessionFields
from app.analysis.trading_hours import TradingHours
from app.storage.session_calendars import hours_of
from tests.analysis.laws import Records, ends_of, pieces
from tests.builders import quote, stream, trade
from tests.reference.past import Past
from tests.reference.session import session
from tests.strategies import flavours
from tests.tapes import FOLDER, records_of

MINUTE_MS = 60_000
NOT_NUMBERS = ("as_of", "calendar", "phase", "opened_at", "closes_at")
# Of a scale that has its own tests.
LARGE = ("cvd_large", "cvd_large_since")
AAPL_OPENS, AAPL_CLOSES = 1_340_285_400_000, 1_340_308_800_000


def folded(
    records: Records, hours: TradingHours, step_seconds: int = 13
) -> Iterator[tuple[int, SessionFields]]:
    engine = Engine.new("TEST", hours)
    for batch, end in pieces(records, ends_of(records, step_seconds)):
        assert engine.advance(batch, end).failed_detectors == {}
        yield end, engine.state.session.fields(end, engine.state.digits)


def numbers(fields: SessionFields) -> SessionFields:
    return {n: v for n, v in fields.items() if n not in NOT_NUMBERS + LARGE}


def sessions_of(records: Records, minutes: int, pause: int) -> TradingHours:
    """Return short sessions with pauses, the first of which began before the records."""
    start = int(records[0].stamp) // MINUTE_MS * MINUTE_MS - 2 * MINUTE_MS
    opens = [start + number * (minutes + pause) * MINUTE_MS for number in range(60)]
    return TradingHours("SHORT", opens, [at + minutes * MINUTE_MS for at in opens])


@settings(
    max_examples=12,
    phases=(Phase.explicit, Phase.generate),
    suppress_health_check=list(HealthCheck),
)
@given(flavours(records=500), st.sampled_from((3, 12)), st.sampled_from((0, 1, 7)))
def test_it_is_what_its_definitions_say_at_each_moment(
    flavour: object, minutes: int, pause: int
) -> None:
    records = flavour.stream()  # type: ignore[attr-defined]
    past = Past(records)
    for end, fields in folded(records, sessions_of(records, minutes, pause)):
        if fields["phase"] == "pre":
            assert numbers(fields) == {}
            continue
        opened, closes = int(fields["opened_at"]), int(fields["closes_at"])
        expected = session(past, opened, closes, end)
        assert numbers(fields) == pytest.approx(expected, rel=1e-9, abs=1e-9)


@pytest.mark.skipif(
    not (FOLDER / "AAPL_2012-06-21.quotes.csv.gz").exists(), reason="the tape is not here"
)
@pytest.mark.parametrize("minutes", [5, 45])
def test_it_is_what_its_definitions_say_on_a_real_tape(minutes: int) -> None:
    records = records_of("AAPL_2012-06-21", AAPL_OPENS + minutes * MINUTE_MS)
    *_, (end, fields) = folded(records, hours_of("AAPL", ()))

    assert (fields["phase"], fields["opened_at"]) == ("regular", AAPL_OPENS)
    expected = session(Past(records), AAPL_OPENS, AAPL_CLOSES, end)
    assert numbers(fields) == pytest.approx(expected, rel=1e-9)
    assert "poc" in expected


def at_ms(ms: int, records: list[Quote | Trade]) -> list[Quote | Trade]:
    """Return records with the stamps counted from `ms`."""
    base = records[0].stamp
    for record in records:
        record.stamp = record.stamp - base + ms
    return records


def a_day(first_ms: int, minutes: int) -> list[Quote | Trade]:
    """Return a quote a second and a print each ten, of 100 at prices that go up and down."""
    made: list[Quote | Trade] = []
    for second in range(minutes * 60):
        bid = 10 + 0.01 * (second % 37)
        made.append(quote(at=second, bid=bid, ask=bid + 0.01))
        if second % 10 == 0:
            made.append(trade(at=second + 0.5, price=bid, size=100, aggressor="sell"))
    return at_ms(first_ms, stream(*made))


def test_a_feed_that_began_within_the_session_says_since_when() -> None:
    began = AAPL_OPENS + 47 * MINUTE_MS
    *_, (end, fields) = folded(a_day(began, 3), hours_of("AAPL", ()))

    assert fields["since"] == began
    assert fields["covered_seconds"] == (end - began) / 1000
    assert "opening_range_low" not in fields


@pytest.mark.parametrize("lost_seconds", [20.0, 200.0])
def test_a_gap_is_not_covered(lost_seconds: float) -> None:
    records = a_day(AAPL_OPENS, 4)
    engine = Engine.new("TEST", hours_of("AAPL", ()))
    before = AAPL_OPENS + 60_000
    after = before + lost_seconds * 1000
    engine.advance(Batch([r for r in records if r.stamp <= before], []), before)
    engine.skip_gap(after)
    engine.advance(Batch([r for r in records if r.stamp > after], []), AAPL_OPENS + 240_000)

    fields = engine.state.session.fields(engine.state.as_of, engine.state.digits)

    assert fields["covered_seconds"] == 240 - lost_seconds
    assert "since" not in fields


def test_a_gap_over_the_open_makes_the_session_begin_later() -> None:
    opens = AAPL_OPENS
    records = a_day(opens - 120_000, 4)
    engine = Engine.new("TEST", hours_of("AAPL", ()))
    engine.advance(Batch([r for r in records if r.stamp <= opens - 60_000], []), opens - 60_000)
    engine.skip_gap(opens + 30_000.0)
    later = [r for r in records if r.stamp > opens + 30_000]
    engine.advance(Batch(later, []), opens + 120_000)

    fields = engine.state.session.fields(engine.state.as_of, engine.state.digits)

    assert fields["since"] == opens + 30_000
    assert fields["covered_seconds"] == 90


@pytest.mark.parametrize(
    ("offset_ms", "phase", "volume"),
    [(-3600_000, "pre", None), (-110_500, "regular", 100.0), (10_800_000, "regular", 1200.0)],
)
def test_only_prints_of_the_session_count(offset_ms: int, phase: str, volume: float | None) -> None:
    # Two minutes, the first print of the session at or just after the open.
    *_, (_, fields) = folded(a_day(AAPL_OPENS + offset_ms, 2), hours_of("AAPL", ()), 1)

    assert fields["phase"] == phase
    assert fields.get("volume") == volume


def test_the_last_session_stays_until_the_next_one_is_near() -> None:
    *_, (_, fields) = folded(a_day(AAPL_CLOSES - MINUTE_MS, 4), hours_of("AAPL", ()))

    assert (fields["phase"], fields["opened_at"]) == ("post", AAPL_OPENS)
    assert fields["volume"] == 600.0


def test_a_print_far_off_doubles_the_rows_until_they_are_200() -> None:
    records = a_day(AAPL_OPENS, 3)
    far = trade(at=0, price=25.0, size=100, aggressor="buy")
    far.stamp = records[-1].stamp + 100
    records.append(far)
    *_, (end, fields) = folded(records, hours_of("AAPL", ()))

    expected = session(Past(records), AAPL_OPENS, AAPL_CLOSES, end)
    assert numbers(fields) == pytest.approx(expected, rel=1e-9)
    assert expected["high"] == 25.0


def test_large_prints_are_those_of_the_quantile_in_force() -> None:
    draw = random.Random(5)  # noqa: S311 - a test's, not a secret's
    made: list[Quote | Trade] = [quote(at=0.0)]
    made += [
        trade(
            at=number / 3 + 0.1,
            size=float(draw.randrange(1, 10_000)),
            aggressor=draw.choice(("buy", "sell")),
        )
        for number in range(3000)
    ]
    records = at_ms(AAPL_OPENS, stream(*made))
    engine = Engine.new("TEST", hours_of("AAPL", ()))
    expected, large = 0.0, 0.0
    for batch, end in pieces(records, ends_of(records)):
        for record in batch.records:
            if isinstance(record, Trade) and large and record.size >= large:
                expected += record.size * record.aggressor
        engine.advance(batch, end)
        large = engine.state.session.large_size

    fields = engine.state.session.fields(engine.state.as_of, engine.state.digits)
    assert fields["cvd_large"] == pytest.approx(expected, rel=1e-12)
    assert large == pytest.approx(9500, rel=0.06)
    # 200 prints, three a second.
    assert fields["cvd_large_since"] == AAPL_OPENS + 67_000
    assert expected != 0


def test_the_quantile_of_the_day_before_is_in_force_at_the_open() -> None:
    hours = TradingHours(
        "TWO", [AAPL_OPENS, AAPL_OPENS + 3600_000], [AAPL_OPENS + 3000_000, AAPL_OPENS + 7200_000]
    )
    records = a_day(AAPL_OPENS, 45) + a_day(AAPL_OPENS + 3600_000, 1)
    for seq, record in enumerate(records):
        record.seq = seq
    *_, (_, fields) = folded(records, hours)

    assert fields["opened_at"] == AAPL_OPENS + 3600_000
    assert "cvd_large" in fields
    assert "cvd_large_since" not in fields
    assert "since" not in fields
