"""Say once that Redis is away, and once that it is back."""

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
"""Errors that tell of Redis as a whole, not of the command that met them."""


class OutageLog:
    """What one process has said so far of Redis being away."""

    def __init__(self, logger: structlog.stdlib.BoundLogger) -> None:
        self._log = logger
        self._failed_attempts = 0

    def note_error(self, error: Exception) -> None:
        """Take note of an error that tells that Redis is away."""
        if not self._failed_attempts:
            kind = type(error).__name__
            self._log.warning("redis away, trying again", error=str(error), kind=kind)
        self._failed_attempts += 1

    def note_success(self) -> None:
        """Take note of a command that Redis has carried out."""
        if self._failed_attempts:
            self._log.info("redis back", failed_attempts=self._failed_attempts)
        self._failed_attempts = 0
