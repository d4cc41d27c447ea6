"""The benchmark of a tick's parts times functions that exist."""

import pytest

from app.core.settings import Settings
from app.storage.tick_store import TickStore
from benchmarks.parts import Parts, timing_parts


def test_each_timed_function_exists() -> None:
    try:
        with timing_parts(Parts(), TickStore(Settings())):
            pass
    except AttributeError as error:
        pytest.fail(f"benchmarks/parts.py times a function that is gone: {error}")
