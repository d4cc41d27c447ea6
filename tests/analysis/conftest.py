"""What tests of the analysis share."""

import pytest

from tests.analysis.hand_tapes import Analyse
from tests.engine_answers import EngineAnswers
from tests.reference import Reference


@pytest.fixture(params=[Reference, EngineAnswers], ids=["definitions", "engine"])
def analyse(request: pytest.FixtureRequest) -> Analyse:
    """Give each of the two readings of the contract in turn."""
    chosen: Analyse = request.param
    return chosen
