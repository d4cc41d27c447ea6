"""The Celery app as docs/observability.md has people watch it, with exporters that keep all.

Both programs of the page are run as they stand; what they would send goes to the test's Redis.
"""

import json
import re
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import sentry_sdk
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from sentry_sdk.envelope import Envelope
from sentry_sdk.transport import Transport

from app.core.settings import settings
from app.storage.redis_client import connect
from tests.system.names import SENTRY_ERRORS, SENTRY_TRANSACTIONS, SPANS
from tests.system.stub_tasks import app

__all__ = ["app"]

PAGE = Path(__file__).parents[2] / "docs" / "observability.md"
_redis: Any = connect(settings())


class KeepingTransport(Transport):
    """Keeps what Sentry would send."""

    def capture_envelope(self, envelope: Envelope) -> None:
        """Keep its errors and transactions."""
        for item in envelope.items:
            found = item.payload.json or {}
            if item.type == "event":
                _keep_error(found)
            elif item.type == "transaction":
                _redis.rpush(SENTRY_TRANSACTIONS, found["transaction"])


def _keep_error(event: Any) -> None:
    newest = event.get("exception", {}).get("values", [{}])[-1]
    noted = {
        "task_id": event.get("tags", {}).get("celery_task_id"),
        "message": newest.get("value") or str(event.get("logentry")),
        "has_frames": bool(newest.get("stacktrace", {}).get("frames")),
    }
    _redis.rpush(SENTRY_ERRORS, json.dumps(noted))


class KeepingExporter(SpanExporter):
    """Keeps the spans that OpenTelemetry would export."""

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Keep each span's name and status, and the task that it is of."""
        for span in spans:
            task_id = (span.attributes or {}).get("celery.task_id") or (
                (span.attributes or {}).get("messaging.message.id")
            )
            noted = {"name": span.name, "status": span.status.status_code.name, "task_id": task_id}
            _redis.rpush(SPANS, json.dumps(noted))
        return SpanExportResult.SUCCESS


def _run_programs_of_the_page() -> None:
    exporter = ModuleType("opentelemetry.exporter.otlp.proto.http.trace_exporter")
    vars(exporter)["OTLPSpanExporter"] = KeepingExporter
    sys.modules[exporter.__name__] = exporter
    sentry_sdk.init = partial(sentry_sdk.init, transport=KeepingTransport())  # type: ignore[assignment]
    for number, program in enumerate(
        re.findall(r"^```python\n(.*?)^```", PAGE.read_text(), re.DOTALL | re.MULTILINE)
    ):
        made = ModuleType(f"watched_tasks_{number}")
        sys.modules[made.__name__] = made  # its listeners are weakly referred to
        exec(compile(program, made.__name__, "exec"), vars(made))  # noqa: S102 - the page's program


_run_programs_of_the_page()
