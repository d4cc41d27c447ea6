"""The request that Celery makes of a tick's message: it bounds the events of ticks."""

from contextlib import suppress
from typing import Any

from celery.exceptions import InvalidTaskError
from celery.worker.request import Request

from app.core.errors import ArgumentsRefused
from tasks.task_arguments import tick_arguments
from tasks.tick_sampler import sampler


class TickRequest(Request):
    """A request that sends events for a sample of ticks, and for every failed one.

    The events of a task cost 250 µs, a third of a tick. The task has `send_events=False`, which
    keeps Celery from sending any; this class sends what Celery would.
    """

    def __init__(self, message: Any, **options: Any) -> None:  # noqa: ANN401 - Celery's own
        super().__init__(message, **options)
        if not (isinstance(self.args, list | tuple) and isinstance(self.kwargs, dict)):
            raise InvalidTaskError("the arguments are no list and object")
        self.is_shown = False
        # One with wrong arguments is refused by the task, and shown to nobody.
        with suppress(ArgumentsRefused):
            if sampler.takes(*tick_arguments(self.args, self.kwargs)):
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
