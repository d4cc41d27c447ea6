"""The comparison finds wrong results, and leaves out only what decision 17 lets be taken back."""

import json
from dataclasses import replace

import pytest

from app.analysis.windows import WINDOWS
from tests.faults.broker import Posting, postings_of
from tests.faults.comparison import Comparison, compare, undisturbed
from tests.faults.kinds import EXACT, LATE
from tests.faults.samples import Sample
from tests.faults.tapes import WALKED, records_of

START_MS = 1_700_000_000_000
SECONDS = 40
SEEN = range(START_MS + 20_000, START_MS + 40_000, 1000)
AHEAD_MS = 120_000
PRICE = b"bid_price"


@pytest.fixture(scope="module")
def postings() -> list[Posting]:
    """Give a ticker's records, as the broker wrote them: a second before their stamps."""
    found = postings_of(WALKED, records_of(WALKED, 3, START_MS, SECONDS + 60, odd=False))
    for posting in found:
        posting.written_ms = posting.due_ms
    return found


@pytest.fixture(scope="module")
def right(postings: list[Posting]) -> list[Sample]:
    """Give a sample of each second's tick, right in everything."""
    return samples_of(postings, [*SEEN])


def samples_of(postings: list[Posting], as_ofs: list[int]) -> list[Sample]:
    expected = undisturbed(WALKED, postings, {*as_ofs})
    samples = []
    for as_of in as_ofs:
        it = expected[as_of]
        session, outcomes = it.past.sessions[str(as_of).encode()], {}
        for (name, until), fields in it.past.outcomes.items():
            outcomes |= fields if int(until) <= as_of and name in fields else {}
        times = as_of + 300.0, as_of - 100.0
        samples.append(
            Sample(WALKED, *times, as_of, it.windows, it.patterns, it.levels, 0, session, outcomes)
        )
    return samples


def told(sample: Sample, mark: int) -> Sample:
    """Return a sample whose quality says when ticks ahead were taken back."""
    windows = {}
    for name, fields in sample.windows.items():
        quality = json.loads(fields[b"quality"]) | {"clock_corrected_at": mark}
        windows[name] = fields | {b"quality": json.dumps(quality).encode()}
    return replace(sample, windows=windows)


def wrong(sample: Sample) -> Sample:
    """Return a sample of which one number of one window is wrong."""
    return replace(
        sample, windows=sample.windows | {"10s": sample.windows["10s"] | {b"quote_count": b"77"}}
    )


def ahead(sample: Sample, by_ms: int = AHEAD_MS) -> Sample:
    """Return what was seen at a sample's time of a tick that was ahead of it."""
    windows = {name: sample.windows[name] | {b"quote_count": b"0"} for name in WINDOWS}
    return replace(sample, as_of=sample.as_of + by_ms, windows=windows)


def stepped(right: list[Sample], by_ms: int = AHEAD_MS) -> list[Sample]:
    """Return samples of clocks that were ahead for five seconds, and of what followed."""
    mark = right[10].as_of
    return [
        *right[:5],
        *(ahead(sample, by_ms) for sample in right[5:10]),
        *(told(sample, mark) for sample in right[10:]),
    ]


def misses(postings: list[Posting], samples: list[Sample], kind: str = EXACT) -> list[str]:
    found: Comparison = compare(kind, WALKED, postings, samples)
    assert found.compared
    return found.misses


def test_right_samples_miss_nothing(postings: list[Posting], right: list[Sample]) -> None:
    assert misses(postings, right) == []
    assert misses(postings, right, LATE) == []


@pytest.mark.parametrize("kind", [EXACT, LATE])
def test_a_wrong_number_is_found(postings: list[Posting], right: list[Sample], kind: str) -> None:
    [miss] = misses(postings, [*right[:12], wrong(right[12]), *right[13:]], kind)
    assert f"{right[12].as_of} 10s: quote_count" in miss


@pytest.mark.parametrize("by_ms", [4000 + 5000, AHEAD_MS, 86_400_000])
def test_ticks_ahead_that_are_taken_back_and_said_to_be_are_left_out(
    postings: list[Posting], right: list[Sample], by_ms: int
) -> None:
    assert misses(postings, stepped(right, by_ms)) == []


@pytest.mark.parametrize("place", [4, 10, 15])
def test_a_wrong_number_before_or_after_a_correction_is_found(
    postings: list[Posting], right: list[Sample], place: int
) -> None:
    samples = stepped(right)
    samples[place] = wrong(samples[place])

    [miss] = misses(postings, samples)
    assert f"{samples[place].as_of} 10s: quote_count" in miss


def test_ticks_ahead_that_are_taken_back_without_a_word_are_found(
    postings: list[Posting], right: list[Sample]
) -> None:
    samples = [*right[:5], *(ahead(sample) for sample in right[5:10]), *right[10:]]

    assert any("as_of went back" in miss for miss in misses(postings, samples))


@pytest.mark.parametrize("by_ms", [0, 1000, 2000])
def test_what_was_not_ahead_by_over_two_intervals_must_not_be_taken_back(
    postings: list[Posting], right: list[Sample], by_ms: int
) -> None:
    was = right[8].as_of
    later = [replace(right[8], as_of=was + by_ms, before_ms=float(was))]
    again = [told(sample, right[8].as_of) for sample in right[6:]]

    found = misses(postings, [*right[:8], *later, *again])
    assert any("as_of went back" in miss for miss in found)
    assert any("no tick was ahead" in miss for miss in found)


def test_a_correction_without_ticks_ahead_is_found(
    postings: list[Posting], right: list[Sample]
) -> None:
    [miss] = misses(postings, [*right[:8], *(told(it, right[8].as_of) for it in right[8:])])
    assert "no tick was ahead" in miss


def test_as_of_may_go_back_once_a_correction(postings: list[Posting], right: list[Sample]) -> None:
    samples = stepped(right)
    again = ahead(samples[14])

    assert any(
        "as_of went back" in it for it in misses(postings, [*samples[:15], again, *samples[15:]])
    )


def test_a_correction_that_is_ahead_itself_is_found(
    postings: list[Posting], right: list[Sample]
) -> None:
    samples = stepped(right)
    mark = right[10].as_of + AHEAD_MS // 2
    samples[10:] = [told(sample, mark) for sample in right[10:]]

    assert any("is no time of a correction" in miss for miss in misses(postings, samples))


@pytest.mark.parametrize("clock_ms", [-120_000.0, -3_600_000.0, -86_400_000.0])
def test_records_of_a_feed_whose_clock_was_behind_may_only_be_counted(
    postings: list[Posting], right: list[Sample], clock_ms: float
) -> None:
    late = replace(postings[50], stamp=postings[50].stamp + clock_ms, clock_ms=clock_ms)
    records = [*postings[:50], late, *postings[51:]]
    counted = samples_of([it for it in records if it is not late], [*SEEN])
    for sample in counted[10:]:
        for window in sample.windows.values():
            window[b"quality"] = json.dumps(json.loads(window[b"quality"]) | {"late": 1}).encode()

    assert misses(records, counted) == []
    assert misses(records, right)
