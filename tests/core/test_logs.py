"""A log line is one line, in either form, whatever is in its fields."""

import json
import os
import subprocess
import sys

import pytest

from tests.processes import ROOT

PROGRAM = r"""
import logging, structlog
from app.core import logs
from app.core.settings import settings
logs.set_up(settings())
log = structlog.stdlib.get_logger("tasks")
forged = "x\n2026-01-01T00:00:00Z [info] all is well\r\x1b[31m\x00\u2028"
log.warning("tick failed", ticker=forged, as_of=5)
logging.getLogger("another").warning("said %s", "by the standard library")
try:
    raise ValueError(forged)
except ValueError:
    log.exception("detector failed", ticker="SPY")
log.debug("not shown")
"""
EVENTS = ["tick failed", "said by the standard library", "detector failed"]


def lines(form: str) -> list[str]:
    environment = os.environ | {"ORDERFLOW_LOG_FORMAT": form, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], env=environment, capture_output=True, check=True
    )
    assert done.stdout == b""
    return done.stderr.decode().split("\n")[:-1]


def test_a_json_log_holds_an_object_a_line_with_constant_events() -> None:
    found = [json.loads(line) for line in lines("json")]

    assert [one["event"] for one in found] == EVENTS
    assert {"timestamp", "level", "logger"} <= set.intersection(*map(set, found))
    assert found[0]["ticker"].startswith("x\n2026")
    assert "ValueError" in found[2]["traceback"]


@pytest.mark.parametrize("form", ["text", "json"])
def test_no_field_forges_a_line_or_reaches_the_terminal(form: str) -> None:
    found = lines(form)

    assert len(found) == len(EVENTS)
    assert all(event in line for event, line in zip(EVENTS, found, strict=True))
    assert not set("\r\x1b\x00") & set("".join(found))
