"""When the analysis runs: the Celery app, its beat, the fan-out and one ticker's tick.

`celery -A tasks worker`, `celery -A tasks beat` and `celery -A tasks flower` start from here.
"""

import logging

from celery import Celery
from celery.signals import setup_logging

from app.core import logs
from app.core.settings import settings
from tasks.flower import set_defaults

# Each says a line a message at INFO: 3,000 lines a second at 1,500 tickers.
_CHATTY = (
    "celery.app.trace",
    "celery.beat",
    "celery.worker.request",
    "celery.worker.strategy",
    "kombu.pidbox",
)

settings()  # a wrong value ends the process here, before Celery wraps the error
set_defaults(settings())

app = Celery(
    "tasks",
    amqp="tasks.fast_path.connection:AMQP",
    include=["tasks.discovery", "tasks.fanout", "tasks.ticks"],
)
app.config_from_object("celeryconfig")


@setup_logging.connect
def _set_up_logs(**_: object) -> None:
    """Write logs our way; LOG_LEVEL decides, not Celery's --loglevel."""
    logs.set_up(settings(), quiet=_CHATTY)
    # Celery 5.7 stumbles over its own closed connection while it lets go of a lost one, and
    # tells so in a hundred lines; the next try succeeds.
    logging.getLogger("celery.bootsteps").setLevel(logging.CRITICAL)
