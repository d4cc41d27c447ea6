"""Names that tests share with Celery apps of theirs, which change what they import."""

RAN = "stub:ran"
BROKEN_TICKER = "BROKEN"
LOAD = "load"
TICK_SECONDS = 0.02
