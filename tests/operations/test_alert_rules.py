"""The alert rules of `deploy/prometheus`: each has a runbook, and asks for metrics that exist."""

import re
from collections.abc import Iterator
from pathlib import Path

import redis
import yaml

from app.core.settings import Settings
from app.operations.prometheus import AnalysisCollector
from app.storage import keys
from app.storage.history_report import HistoryReport, write_report
from mcp_app.tool_metrics import TOOL_SECONDS
from tests.contract.documents import rows
from tests.faults.alerts import ALERTS
from tests.faults.kinds import KINDS
from tests.faults.lasting import LASTING
from tests.key_writer import KeyWriter

ROOT = Path(__file__).parents[2]
RULES = yaml.safe_load((ROOT / "deploy/prometheus/alerts.yml").read_text())["groups"][0]["rules"]
RUNBOOK = (ROOT / "docs/runbook.md").read_text()
METRIC = re.compile(r"\b(?:orderflow|redis|celery)_[a-z_]+\b")
OF_OTHERS = {"redis_memory_used_bytes", "redis_memory_max_bytes", "celery_worker_up"}


def exported(client: redis.Redis, settings: Settings) -> Iterator[str]:
    for family in AnalysisCollector(client, settings).collect():
        yield from (sample.name for sample in family.samples)
    yield from (f"{family.name}_count" for family in TOOL_SECONDS.collect())


def test_each_alert_has_its_part_of_the_runbook_and_no_part_is_of_another() -> None:
    parts = re.findall(r"^## (\w+)$", RUNBOOK, re.MULTILINE)
    assert parts == [rule["alert"] for rule in RULES]
    for rule in RULES:
        anchor = rule["alert"].lower()
        assert rule["annotations"]["runbook"] == f"docs/runbook.md#{anchor}"
        assert rule["labels"]["severity"] in {"page", "warn"}


def test_each_metric_of_a_rule_is_exported(
    redis_client: redis.Redis, settings: Settings, writer: KeyWriter
) -> None:
    now = writer.as_of
    redis_client.hset(keys.HEARTBEAT, mapping={"fanout": now, "tick": now})
    write_report(redis_client, HistoryReport(alive_at=now))
    names = {*exported(redis_client, settings)} | OF_OTHERS
    asked = {name for rule in RULES for name in METRIC.findall(rule["expr"])}
    assert asked <= names, asked - names


def test_the_runbook_says_of_each_kind_of_fault_which_alert_it_fires() -> None:
    table = RUNBOOK.split("\n## What fires for which fault\n")[1].split("\n## ")[0]
    told = {kind: row.split(" | ")[1].replace("none", "") for kind, row in rows(table).items()}

    assert told == ALERTS
    assert ALERTS.keys() == KINDS.keys()
    assert {alert for alert in ALERTS.values() if alert} <= {rule["alert"] for rule in RULES}


def test_each_kind_that_fires_an_alert_is_tried_as_a_fault_that_lasts() -> None:
    assert {kind for kind, _ in LASTING} == {kind for kind, alert in ALERTS.items() if alert}
