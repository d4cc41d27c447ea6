"""A live feed's command hands its job to a process that has imported little."""

import os
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from app.core.settings import Settings
from app.feeds.live.command import job_of
from app.feeds.live.job import VARIABLE, LiveJob
from tests.processes import ROOT
from tests.venues.kraken import KrakenVenue

LEFT_OUT = {"click", "httpx2", "kombu", "celery", "mcp", "numpy", "pandas", "pydantic"}
IMPORTED = "import sys, app.feeds.live.run, app.feeds.live.{0}; print(*sys.modules, sep='\\n')"


@pytest.mark.parametrize("adapter", ["kraken", "coinbase", "alpaca", "databento"])
def test_the_process_of_a_feed_imports_nothing_that_only_the_command_needs(adapter: str) -> None:
    command = (sys.executable, "-c", IMPORTED.format(adapter))
    said = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)

    imported = {name.partition(".")[0] for name in said.stdout.split()}
    assert "redis" in imported
    assert imported & LEFT_OUT == set()


def test_a_job_is_taken_over_with_what_the_command_found(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with KrakenVenue("BTC/USD") as venue:
        monkeypatch.setattr("app.feeds.live.command.settings", lambda: settings)
        monkeypatch.setattr("app.feeds.live.command.logs.set_up", lambda *_, **__: None)
        monkeypatch.setattr(Settings, "feed_url", venue.url)
        job = job_of("kraken:btc-usd", tmp_path)
    monkeypatch.setenv(VARIABLE, msgspec.json.encode(job).decode())

    assert LiveJob.taken_over() == job
    assert VARIABLE not in os.environ, "a job may hold passwords"
    assert str(job.request) == "kraken:BTC/USD"
    assert job.redis_url == settings.redis_url
    assert job.folder == str(tmp_path)
