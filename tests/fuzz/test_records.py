"""Whatever a broker writes is a record or is refused for a counted reason."""

import itertools
import math
from dataclasses import astuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.analysis.engine import Engine
from app.analysis.record_parser import parse_batch, parse_quote, parse_trade
from app.analysis.records import NO_SEQ, Quote, Trade, count_faults
from app.core.errors import RecordRejected
from app.storage.tick import codec
from tests.builders import START_MS, second
from tests.fuzz.fuzzing import FOUND, REASONS, members

ODDITIES = {"stamp_mismatch", "unnumbered", "duplicate", "unknown_aggressor"}
SCORE = float(START_MS)

scores = st.floats(allow_nan=False)
texts = st.text(st.characters(codec=None, exclude_categories=())).map(
    lambda text: text.encode("utf-8", "surrogatepass")
)


def reason_or_record(member: bytes, score: float) -> list[Quote | Trade | str]:
    found: list[Quote | Trade | str] = []
    for parse in (parse_quote, parse_trade):
        try:
            found.append(parse(member, score)[0])
        except RecordRejected as rejected:
            found.append(rejected.reason)
    return found


def check(member: bytes, score: float = SCORE) -> None:
    for found in reason_or_record(member, score):
        if isinstance(found, str):
            assert found in REASONS
            continue
        numbers = [*map(float, astuple(found))]
        assert all(map(math.isfinite, numbers[1:]))
        assert abs(found.stamp - score) <= 1.0 or found.stamp == score


@pytest.mark.parametrize("member", FOUND, ids=range(len(FOUND)))
def test_a_found_case_is_a_record_or_is_refused(member: bytes) -> None:
    check(member)


@given(st.one_of(st.binary(max_size=5000), texts), scores)
def test_any_bytes_are_a_record_or_are_refused(member: bytes, score: float) -> None:
    check(member, score)


def test_twenty_thousand_nearly_right_members_are_records_or_are_refused() -> None:
    for member in itertools.islice(members(1), 20_000):
        check(member)


def test_ten_megabytes_are_refused_without_being_read() -> None:
    assert reason_or_record(b'{"price":' + b"1" * 10_000_000 + b"}", SCORE) == ["too_long"] * 2


def test_the_fold_survives_whatever_the_parser_lets_through() -> None:
    engine = Engine.new("SPY")
    source = members(2)
    for number in range(1, 60):
        found = list(itertools.islice(source, 100))
        stored = [(member, second(number) - 1000.0 + n * 9) for n, member in enumerate(found)]
        batch = parse_batch(stored, stored)
        assert count_faults(batch.faults).keys() <= REASONS | ODDITIES
        analysis = engine.advance(batch, second(number))
        assert analysis.failed_detectors == {}
        assert codec.encode_state(engine.state)
        for fields in analysis.metrics.values():
            assert all(math.isfinite(v) for v in fields.values() if isinstance(v, (int, float)))


def test_a_number_that_stored_state_could_not_hold_is_no_number() -> None:
    for seq in (2**63, 2**64, -5):
        member = b'{"bid_price":1,"bid_size":1,"ask_price":2,"ask_size":1,"seq":%d}' % seq
        assert parse_quote(member, SCORE)[0].seq == NO_SEQ


def test_a_size_too_small_for_any_ratio_is_out_of_range() -> None:
    trade = b'{"price":1,"size":1e-320}'
    quote = b'{"bid_price":1,"bid_size":1e-320,"ask_price":2,"ask_size":1}'
    assert reason_or_record(trade, SCORE)[1] == "out_of_range"
    assert reason_or_record(quote, SCORE)[0] == "out_of_range"
