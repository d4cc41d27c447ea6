"""The Celery app with listeners like those of monitoring tools; they keep what they get."""

import json
from typing import Any

from celery.signals import task_failure, task_postrun, task_prerun
from opentelemetry.instrumentation.celery import CeleryInstrumentor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from app.core.settings import settings
from app.storage.redis_client import connect
from tests.system.names import FAILURES, POSTRUNS, PRERUNS, SPANS
from tests.system.stub_tasks import app

__all__ = ["app"]

_redis: Any = connect(settings())
_exporter = InMemorySpanExporter()
_provider = TracerProvider()
_provider.add_span_processor(SimpleSpanProcessor(_exporter))
CeleryInstrumentor().instrument(tracer_provider=_provider)


@task_prerun.connect
def _note_prerun(task_id: str, **_: object) -> None:
    _redis.rpush(PRERUNS, task_id)


@task_postrun.connect
def _note_postrun(task_id: str, **_: object) -> None:
    _redis.rpush(POSTRUNS, task_id)
    for span in _exporter.get_finished_spans():
        noted = {"name": span.name, "status": span.status.status_code.name, "task_id": task_id}
        _redis.rpush(SPANS, json.dumps(noted))
    _exporter.clear()


@task_failure.connect
def _note_failure(sender: Any, task_id: str, **given: Any) -> None:
    noted = {
        "task": sender.name,
        "exception": str(given["exception"]),
        "args": given["args"],
        "traceback": given["einfo"].traceback,
        "has_frames": given["traceback"] is not None,
    }
    _redis.hset(FAILURES, task_id, json.dumps(noted))
