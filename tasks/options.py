"""Choose what Celery runs on: its own classes, or those of the fast path.

Classes and functions are given by their paths, which Celery and kombu resolve when they need
them: with `ORDERFLOW_FAST_PATH=0` nothing of `tasks.fast_path` is imported.
"""

from dataclasses import dataclass, field

from app.core.settings import Settings
from tasks.queues import WAIT_SECONDS


@dataclass(frozen=True, slots=True)
class CeleryOptions:
    """Paths of what differs between the two modes, in the form `module:name`."""

    amqp: str
    """Class of `app.amqp`; its `Connection` selects kombu's transport."""
    queue_order: str
    """Order in which a worker takes from its queues (kombu's `queue_order_strategy`)."""
    tick_strategy: str
    """Function that turns the message of a tick into its run (Celery's `Task.Strategy`)."""
    publish_ticks: str
    """Function that publishes the ticks of a shard."""
    transport_options: dict[str, float] = field(default_factory=dict)
    """Further options of kombu's transport."""


STOCK = CeleryOptions(
    amqp="tasks.broker_connection:AMQP",
    queue_order="tasks.queue_order:ShardQueueOrder",
    tick_strategy="celery.worker.strategy:default",
    publish_ticks="tasks.publishing:publish_ticks",
    transport_options={"polling_interval": WAIT_SECONDS},
)
FAST = CeleryOptions(
    amqp="tasks.fast_path.connection:AMQP",
    queue_order="tasks.fast_path.monitored_queue_order:MonitoredQueueOrder",
    tick_strategy="tasks.fast_path.direct_strategy:run_directly",
    publish_ticks="tasks.fast_path.messages:publish_ticks",
)


def celery_options(settings: Settings) -> CeleryOptions:
    """Return the options of the mode that the settings select."""
    return FAST if settings.fast_path else STOCK
