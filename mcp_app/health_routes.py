"""Serve /health, /ready and /metrics to whatever monitors the server."""

from collections.abc import Callable
from dataclasses import asdict

import anyio
from mcp.server import MCPServer
from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, CollectorRegistry, generate_latest
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from app.answers.reader import Reader
from app.core.errors import StoreUnavailable
from app.core.settings import Settings
from app.operations.prometheus import AnalysisCollector
from app.operations.status import HealthInspector
from app.storage.redis_client import connect
from mcp_app.work_pool import Busy, WorkPool

REDIS_SECONDS = 1.0
ANSWER_SECONDS = 2.5
_THREADS = 4
USUAL_SECONDS = 0.05


def add_routes(server: MCPServer[Reader], settings: Settings) -> None:
    """Add the routes; nothing connects to Redis before the first request."""
    client = connect(settings, timeout_seconds=REDIS_SECONDS)
    analysis = CollectorRegistry(auto_describe=False)
    analysis.register(AnalysisCollector(client, settings))
    inspector = HealthInspector(client, settings)
    # A few threads of their own: scrapes that wait for Redis must not use up those of questions.
    pool = WorkPool("health", _THREADS, USUAL_SECONDS)

    def route(path: str, answer: Callable[[], Response]) -> None:
        async def respond(_: Request) -> Response:
            try:
                with anyio.move_on_after(ANSWER_SECONDS):
                    return await pool.run(answer, ANSWER_SECONDS)
            except Busy as error:
                return _not_ready(str(error))
            return _not_ready(f"no answer from Redis within {ANSWER_SECONDS:g} s")

        server.custom_route(path, methods=["GET"])(respond)

    server.custom_route("/health", methods=["GET"])(_health)
    route("/ready", lambda: _ready(inspector))
    route("/metrics", lambda: _metrics(analysis))


async def _health(_: Request) -> Response:
    return JSONResponse({"status": "ok"})


def _ready(inspector: HealthInspector) -> Response:
    """Return 503 with the reasons if questions about now can't be answered."""
    try:
        found = inspector.readiness()
    except StoreUnavailable as error:
        return _not_ready(str(error))
    status = "not ready" if found.troubles else "ready"
    return JSONResponse({"status": status, **asdict(found)}, 503 if found.troubles else 200)


def _not_ready(trouble: str) -> Response:
    return JSONResponse({"status": "not ready", "troubles": [trouble]}, 503)


def _metrics(analysis: CollectorRegistry) -> Response:
    text = generate_latest(analysis) + generate_latest(REGISTRY)
    return Response(text, headers={"Content-Type": CONTENT_TYPE_LATEST})
