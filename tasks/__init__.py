"""The Celery app: beat, discovery, fan-out and the tick of one ticker.

`celery -A tasks worker`, `celery -A tasks beat` and `celery -A tasks flower` start from here.
"""

import logging
import sys

import click
from celery import Celery
from celery.signals import setup_logging
from click.core import ParameterSource

from app.core import logs
from app.core.errors import SettingError
from app.core.settings import settings
from tasks.banner_output import leave_out_what_can_not_be_written
from tasks.flower_defaults import set_defaults
from tasks.lost_connections import LostConnections
from tasks.odd_messages import OddMessages
from tasks.options import celery_options

TICK_TASK = "tasks.tick"

# Each of these logs a line per message at INFO: 3,000 lines a second at 1,500 tickers.
_LINE_PER_MESSAGE = (
    "celery.app.trace",
    "celery.worker.request",
    "celery.worker.strategy",
    "kombu.pidbox",
)

if click.get_current_context(silent=True) is not None:  # by a command of Celery's
    leave_out_what_can_not_be_written()
settings()  # a wrong value ends the process here, before Celery wraps the error
set_defaults(settings())

app = Celery(
    "tasks",
    amqp=celery_options(settings()).amqp,
    include=["tasks.discovery", "tasks.fanout", "tasks.ticks"],
)
app.config_from_object("celeryconfig")
app.steps["consumer"].add("tasks.worker_restarts:PacedRestart")


@setup_logging.connect
def _set_up_logs(logfile: str | None = None, loglevel: int | None = None, **_: object) -> None:
    """Configure logging in the form of all processes, by `--logfile` and `--loglevel` if given."""
    level = loglevel if _is_on_command_line("loglevel") else None
    try:
        logs.set_up(settings(), quiet=_LINE_PER_MESSAGE, path=logfile or None, level=level)
    except SettingError as error:
        sys.exit(f"orderflow: {error}")
    logging.getLogger("celery.app.trace").addFilter(_is_not_of_a_tick)
    for name in ("celery.worker.consumer.consumer", "kombu.transport.redis"):
        logging.getLogger(name).addFilter(LostConnections())
    logging.getLogger("celery.worker.consumer.consumer").addFilter(OddMessages())
    # It says when it starts and ends; its debug lines are several for each message.
    logging.getLogger("celery.beat").setLevel(max(logging.INFO, logging.getLogger().level))
    # Celery 5.7 fails on its own closed connection while it releases a lost one, and logs a hundred
    # lines about it; the next attempt succeeds.
    logging.getLogger("celery.bootsteps").setLevel(logging.CRITICAL)


def _is_on_command_line(option: str) -> bool:
    """Return whether an option of the running command was typed, and is not its default."""
    context = click.get_current_context(silent=True)
    return (
        context is not None and context.get_parameter_source(option) is ParameterSource.COMMANDLINE
    )


def _is_not_of_a_tick(record: logging.LogRecord) -> bool:
    """Drop what Celery logs of a failed tick: `tasks.ticks` logs it with ticker and `as_of`."""
    return getattr(record, "data", {}).get("name") != TICK_TASK
