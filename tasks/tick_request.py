"""The request that Celery makes of a tick's message: it bounds the events of ticks."""

from typing import Any

import msgspec
from celery.exceptions import InvalidTaskError
from celery.worker.request import Request

from tasks.tick_sampler import sampler


class TickRequest(Request):
    """A request that sends events for a sample of ticks, and for every failed one.

    The events of a task cost 250 µs, a third of a tick. The task has `send_events=False`, which
    keeps Celery from sending any; this class sends what Celery would.
    """

    def __init__(self, message: Any, **options: Any) -> None:  # noqa: ANN401 - Celery's own
        super().__init__(message, **options)
        try:
            ticker, as_of_ms = msgspec.convert(self.args, tuple[str, int])
        except msgspec.ValidationError as error:
            raise InvalidTaskError(str(error)) from None
        self.is_shown = False
        if sampler.takes(ticker, as_of_ms):
            self._show()

    def send_event(self, type: str, **fields: Any) -> None:  # noqa: A002, ANN401 - Celery's own
        """Send an event of a tick that is shown; a failure is always shown."""
        if type == "task-failed" and not self.is_shown:
            self._show()
        if self.is_shown and self.eventer and self.eventer.enabled:
            self.eventer.send(type, uuid=self.id, **fields)

    def _show(self) -> None:
        self.is_shown = True
        self.send_event(
            "task-received",
            name=self.name,
            args=self.argsrepr,
            kwargs=self.kwargsrepr,
            root_id=self.root_id,
            parent_id=self.parent_id,
            retries=0,
            eta=None,
            expires=None,
        )
