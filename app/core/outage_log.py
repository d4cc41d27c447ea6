"""Log once that Redis is unavailable, and once that it is back."""

import structlog
from redis import exceptions

UNAVAILABLE = (
    exceptions.ConnectionError,
    exceptions.TimeoutError,
    exceptions.OutOfMemoryError,
    exceptions.ReadOnlyError,
    exceptions.ClusterDownError,
    exceptions.RedisClusterException,
)
"""Errors that mean that Redis as a whole is unavailable, not that one command failed."""


class OutageLog:
    """Log the outages of Redis that one process meets."""

    def __init__(self, logger: structlog.stdlib.BoundLogger) -> None:
        self._log = logger
        self._failed_attempts = 0

    def note_error(self, error: Exception) -> None:
        """Count an error of the outage; log the first."""
        if not self._failed_attempts:
            kind = type(error).__name__
            self._log.warning("redis away, trying again", error=str(error), kind=kind)
        self._failed_attempts += 1

    def note_success(self) -> None:
        """End the outage, if there is one, and log that."""
        if self._failed_attempts:
            self._log.info("redis back", failed_attempts=self._failed_attempts)
        self._failed_attempts = 0
