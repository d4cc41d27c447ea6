"""Private names of Celery and kombu that the fast path relies on: for the README and a test.

Not imported by the processes.
"""

from dataclasses import dataclass

CHECKED_WITH = {"celery": "5.7.0", "kombu": "5.7.0", "redis": "8.1.0"}
"""Versions whose sources were read for this table; `pyproject.toml` allows no newer minor ones."""


@dataclass(frozen=True, slots=True)
class PrivateName:
    """A name that a library may change without notice."""

    owner: str
    """`module:class`, or the module of a name that is documented nowhere."""
    name: str
    signature: str | None
    """Of a function, as `inspect.signature` shows it; None for a value."""
    use: str
    reason: str
    gain: str

    @property
    def path(self) -> str:
        """Return the name as one looks it up."""
        return f"{self.owner.replace(':', '.')}.{self.name}"


_CHANNEL = "kombu.transport.redis:Channel"

PRIVATE_NAMES = (
    PrivateName(
        _CHANNEL,
        "_brpop_read",
        "(self, **options)",
        "overridden",
        "decode messages with msgspec, and take the next three ticks together with the first",
        "920 → 775 µs a tick by taking four; 2 % of a tick by the decoder",
    ),
    PrivateName(
        _CHANNEL,
        "_in_poll",
        None,
        "set",
        "what the overridden `_brpop_read` does once the reply is read",
        "part of it",
    ),
    PrivateName(
        _CHANNEL,
        "_flush_brpop_reauth",
        "(self)",
        "called",
        "what the overridden `_brpop_read` does once the reply is read",
        "part of it",
    ),
    PrivateName(
        _CHANNEL,
        "_brpop_start",
        "(self, timeout=None)",
        "overridden",
        "wait 100 ms at a time, so that an idle worker checks the other shards' queues",
        "the ticks of a lost or late worker run 0.2 s later, not seconds",
    ),
    PrivateName(
        _CHANNEL,
        "_queue_cycle",
        None,
        "read",
        "reach the `MonitoredQueueOrder` that kombu made of `queue_order_strategy`",
        "1,430 → 1,100 µs a tick: workers help only where a queue would be late",
    ),
    PrivateName(
        "kombu.transport.redis:Transport",
        "_deliver",
        "(self, message, queue)",
        "overridden and called",
        "drop what is no message of this project before Celery reads it",
        "a message that anybody else wrote can't end a worker",
    ),
    PrivateName(
        "celery.worker.strategy",
        "default",
        "(task, app, consumer",
        "called",
        "handle the messages of traced ticks, and of all ticks in a pool other than solo",
        "140 of 240 µs of a no-op task, spared for all other ticks",
    ),
    PrivateName(
        "celery.worker.state",
        "total_count",
        None,
        "changed",
        "count ticks that Celery does not see, by the name of the task",
        "`inspect stats` and Flower count every tick",
    ),
    PrivateName(
        "celery.worker.state",
        "all_total_count",
        None,
        "changed",
        "count ticks that Celery does not see, in total",
        "the heartbeat's `processed` counts every tick",
    ),
)


def table() -> str:
    """Return the table of the README."""
    lines = ["| name | use | reason | gain |", "|---|---|---|---|"]
    lines += [f"| `{it.path}` | {it.use} | {it.reason} | {it.gain} |" for it in PRIVATE_NAMES]
    return "\n".join(lines)
