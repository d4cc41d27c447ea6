"""What coverage-guided fuzzing kept (tests/fuzz) passes its target, each time."""

import pytest

from tests.fuzz.fuzzing import FOUND
from tests.fuzz.targets import CORPUS, TARGETS

MOST_FILES = 400
MOST_BYTES = 5000


def kept(name: str) -> list[bytes]:
    return [path.read_bytes() for path in sorted((CORPUS / name).iterdir())]


@pytest.mark.parametrize("name", sorted(TARGETS))
def test_all_that_was_kept_passes(name: str) -> None:
    cases = kept(name)

    for case in [*cases, *FOUND, b"[" * 5000, b"\xff" * 5000, b"9" * 5000, b'{"a":' * 1000]:
        TARGETS[name](case)

    assert 2 <= len(cases) <= MOST_FILES
    assert max(map(len, cases)) <= MOST_BYTES


def test_every_folder_of_the_corpus_belongs_to_a_target() -> None:
    assert {path.name for path in CORPUS.iterdir()} == set(TARGETS)
