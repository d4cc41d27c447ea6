"""The modes of the fast path, for tests of the system."""

import pytest

from tests.processes import Environment


@pytest.fixture(params=["fast", "stock"])
def mode(request: pytest.FixtureRequest, environment: Environment) -> str:
    """Start processes with the fast path, and once more on stock Celery; return which."""
    chosen: str = request.param
    environment["ORDERFLOW_FAST_PATH"] = "1" if chosen == "fast" else "0"
    return chosen
