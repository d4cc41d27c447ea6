"""Names that tests share with Celery apps of theirs, which change what they import."""

RAN = "stub:ran"
FAILED = "stub:failed"
BROKEN_TICKER = "BROKEN"
REFUSED_TICKER = "REFUSED"
LOAD = "load"
TICK_SECONDS = 0.02
PRERUNS = "listened:prerun"
POSTRUNS = "listened:postrun"
FAILURES = "listened:failure"
SPANS = "listened:spans"
SENTRY_ERRORS = "sentry:errors"
SENTRY_TRANSACTIONS = "sentry:transactions"
