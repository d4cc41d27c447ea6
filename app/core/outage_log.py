"""Log once that Redis is unavailable or refuses, and once that it is back."""

import math
from collections.abc import Iterator
from contextlib import contextmanager

import structlog

from app.core import clock
from app.core.refusals import describe_refusal, is_unavailable


class OutageLog:
    """Log the outages of Redis that one process meets."""

    def __init__(
        self,
        logger: structlog.stdlib.BoundLogger,
        *,
        name: str = "redis",
        database: int | None = None,
    ) -> None:
        self._log = logger
        self._name = name
        self._database = database
        self._failed_attempts = 0
        self._failed_at_ms = 0.0
        self._is_refusal = False

    @contextmanager
    def attempt(self, *further: type[Exception]) -> Iterator[None]:
        """Note how an attempt ends; errors that mean an outage, or `further` ones, end here."""
        try:
            yield
        except Exception as error:
            if not (isinstance(error, further) or is_unavailable(error)):
                raise
            self.note_error(error)
        else:
            self.note_success()

    def note_error(self, error: Exception) -> None:
        """Count an error of the outage; log the first, and the first refusal."""
        refusal = describe_refusal(error, self._database)
        if refusal is not None:
            if not self._is_refusal:
                self._log.warning(f"{self._name} refuses, trying again", error=refusal)
            self._is_refusal = True
        elif not self._failed_attempts:
            kind = type(error).__name__
            self._log.warning(f"{self._name} away, trying again", error=str(error), kind=kind)
        self._failed_attempts += 1
        self._failed_at_ms = clock.now_ms()

    def note_end_of_refusal(self) -> None:
        """End the outage if Redis refused; log that."""
        if self._is_refusal:
            self.note_success()

    def note_success(self, *, sent_at_ms: float = math.inf) -> None:
        """End the outage, if there is one, and log that.

        A command that was sent before the last error says nothing of what came after it.
        """
        if self._failed_attempts:
            if sent_at_ms < self._failed_at_ms:
                return
            how = "accepts commands again" if self._is_refusal else "back"
            self._log.info(f"{self._name} {how}", failed_attempts=self._failed_attempts)
        self._failed_attempts = 0
        self._is_refusal = False
