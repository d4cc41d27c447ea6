"""The sample answers in the documents are what the code says, line by line.

Where the words of answers change, write them anew and review the diff:
ORDERFLOW_WRITE_SNAPSHOT=1 make test ARGS=tests/contract/test_sample_answers.py
"""

import os
from pathlib import Path

import pytest
import redis

from app.answers.reader import Reader
from app.core.settings import Settings
from tests.contract.documents import ROOT
from tests.contract.sample_answers import MADE, samples_in, simulated, with_samples

DOCUMENTS = [ROOT / name for name in ("README.md", "docs/tutorial.md", "docs/clients.md")]


def shown() -> dict[str, str]:
    """Return all samples that the documents show."""
    return {
        name: text
        for path in DOCUMENTS
        for name, text in samples_in(path.read_text(encoding="utf-8")).items()
    }


def write(path: Path, samples: dict[str, str]) -> None:
    text = path.read_text(encoding="utf-8")
    path.write_text(with_samples(text, {**samples_in(text), **samples}), encoding="utf-8")


@pytest.mark.parametrize(("ticker", "seconds"), MADE, ids=str)
def test_the_sample_answers_are_those_of_the_code(
    redis_client: redis.Redis, settings: Settings, reader: Reader, ticker: str, seconds: int
) -> None:
    with simulated(redis_client, settings, ticker, seconds):
        samples = MADE[ticker, seconds](reader)
    if os.environ.get("ORDERFLOW_WRITE_SNAPSHOT") == "1":
        for path in DOCUMENTS:
            write(path, samples)

    found = shown()
    assert samples == {name: found.get(name) for name in samples}


def test_each_answer_in_the_documents_is_a_sample() -> None:
    for path in DOCUMENTS:
        text = path.read_text(encoding="utf-8")
        answers = text.count("quality: ") - text.count("`quality: ")

        assert sum("quality: " in it for it in samples_in(text).values()) == answers
