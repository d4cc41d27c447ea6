"""A process passes a soak only if memory, threads and descriptors are near what they were."""

import os

import psutil
import pytest

from tests.soak.samples import Size, differing, middle, size_of, size_table

BEFORE = Size(100.0, 10, 20)


@pytest.mark.parametrize(
    ("after", "is_near"),
    [
        (Size(105.0, 15, 25), True),
        (Size(95.0, 5, 15), True),
        (Size(105.1, 10, 20), False),
        (Size(94.9, 10, 20), False),
        (Size(100.0, 16, 20), False),
        (Size(100.0, 10, 26), False),
    ],
)
def test_a_process_is_named_that_is_not_what_it_was(after: Size, *, is_near: bool) -> None:
    found = differing({"beat": BEFORE, "mcp": BEFORE}, {"beat": after, "mcp": BEFORE})

    assert found == ([] if is_near else ["beat"])
    assert ("**no**" in size_table({"beat": BEFORE}, {"beat": after}, 30)) != is_near


def test_one_odd_sample_decides_nothing() -> None:
    assert middle([Size(999.0, 99, 99), *[BEFORE] * 11]) == BEFORE


def test_a_process_is_measured() -> None:
    size = size_of(psutil.Process(os.getpid()))

    assert size.rss_mib > 1.0
    assert size.threads >= 1
    assert size.descriptors >= 3
