"""Stock Celery runs without the fast path; nothing of it is even imported."""

import subprocess
import sys

import pytest

from tests.processes import ROOT, Environment

LOADED = """
import sys
from tasks import app
app.loader.import_default_modules()
app.finalize()
with app.connection_for_write() as connection:
    connection.transport
tick = app.tasks["tasks.tick"]
print(tick.Strategy, app.conf.broker_transport_options["queue_order_strategy"])
print(*sorted(name for name in sys.modules if name.startswith("tasks.fast_path")))
"""


def said(environment: Environment, fast_path: str) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", LOADED],
        cwd=ROOT,
        env=environment | {"ORDERFLOW_FAST_PATH": fast_path},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.splitlines()


@pytest.mark.redis
def test_stock_mode_imports_nothing_of_the_fast_path(environment: Environment) -> None:
    assert said(environment, "0") == [
        "celery.worker.strategy:default tasks.queue_order:ShardQueueOrder",
        "",
    ]


@pytest.mark.redis
def test_the_fast_path_is_what_runs_unless_it_is_switched_off(environment: Environment) -> None:
    options, modules = said(environment, "1")

    assert options.split() == [
        "tasks.fast_path.direct_strategy:run_directly",
        "tasks.fast_path.monitored_queue_order:MonitoredQueueOrder",
    ]
    assert "tasks.fast_path.transport" in modules
