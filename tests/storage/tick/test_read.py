"""What was read is counted by second, whatever the pieces are cut at."""

from collections import Counter
from math import ceil

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from app.storage.tick.read import parse_records

START = 1_700_000_000_000

scores = st.lists(st.integers(-3_000, 8_000).map(lambda ms: START + ms / 2)).map(sorted)
ends = st.integers(-2, 4).map(lambda seconds: START + seconds * 1000)


def quotes(stamps: list[float]) -> list[tuple[bytes, float]]:
    fields = {"bid_price": 1, "bid_size": 1, "ask_price": 2, "ask_size": 1}
    return [(msgspec.json.encode({**fields, "seq": n}), at) for n, at in enumerate(stamps)]


def trades(stamps: list[float]) -> list[tuple[bytes, float]]:
    return [
        (msgspec.json.encode({"price": 1, "size": 1, "seq": 10_000 + n}), at)
        for n, at in enumerate(stamps)
    ]


@given(scores, scores, ends, ends)
def test_members_are_counted_by_the_second_that_their_score_lies_in(
    shown: list[float], printed: list[float], after: int, to: int
) -> None:
    _, counts = parse_records(quotes(shown), trades(printed), after, to)

    inside = [score for score in (*shown, *printed) if after < score <= to]
    assert counts == Counter(ceil(score / 1000) * 1000 for score in inside)


@given(scores, scores, ends, ends)
def test_records_of_a_piece_are_those_stamped_within_it(
    shown: list[float], printed: list[float], after: int, to: int
) -> None:
    batch, _ = parse_records(quotes(shown), trades(printed), after, to)

    inside = sorted(score for score in (*shown, *printed) if after < score <= to)
    assert [record.stamp for record in batch.records] == inside
