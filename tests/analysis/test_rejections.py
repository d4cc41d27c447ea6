"""Rejected records newer than the newest usable one of their kind, however the stream is cut."""

from hypothesis import given
from hypothesis import strategies as st

from app.analysis.engine import Engine
from app.analysis.records import Batch, Fault, Record
from app.analysis.rejections import Rejections
from tests.builders import quote, second, trade

# A place in the stream in tenths of a second, the kind, and the reason to refuse it, None for none.
REASONS = (None, "not_json", "zero_size", "out_of_range")
Entries = list[tuple[int, bool, str | None]]
entries = st.lists(st.tuples(st.integers(1, 99), st.booleans(), st.sampled_from(REASONS)))
cuts = st.sets(st.integers(1, 9))


def expected(records: Entries, *, is_quote: bool) -> Rejections:
    """Return what the definition says, in one look at all records."""
    of_kind = [(second(at / 10), reason) for at, is_one, reason in records if is_one == is_quote]
    usable = max((stamp for stamp, reason in of_kind if reason is None), default=0)
    newer = [(stamp, reason) for stamp, reason in of_kind if reason and stamp > usable]
    reasons = [reason for _, reason in newer]
    return Rejections(
        float(min((stamp for stamp, _ in newer), default=0)),
        len(newer),
        {reason: reasons.count(reason) for reason in reasons},
    )


def batch_of(records: Entries) -> Batch:
    usable: list[Record] = []
    rejected: dict[bool, list[Fault]] = {True: [], False: []}
    for seq, (at, is_quote, reason) in enumerate(records):
        if reason is None:
            usable.append((quote if is_quote else trade)(at=at / 10, seq=seq))
        else:
            rejected[is_quote].append((float(second(at / 10)), reason))
    faults = [*rejected[True], *rejected[False]]
    return Batch(usable, faults, rejected_quotes=rejected[True], rejected_trades=rejected[False])


@given(entries, cuts)
def test_they_are_those_of_the_definition_whatever_the_ticks(
    unordered: Entries, ends: set[int]
) -> None:
    records = sorted(unordered, key=lambda entry: entry[0])
    engine = Engine.new("SPY")

    start = 0
    for end in sorted({*ends, 10}):
        of_tick = [entry for entry in records if start * 10 < entry[0] <= end * 10]
        engine.advance(batch_of(of_tick), second(end))
        start = end

    assert engine.state.rejected_quotes == expected(records, is_quote=True)
    assert engine.state.rejected_trades == expected(records, is_quote=False)
    faults = engine.result().quality["10s"].get("rejected", {})
    assert isinstance(faults, dict)
    assert sum(faults.values()) == sum(reason is not None for _, _, reason in records)
