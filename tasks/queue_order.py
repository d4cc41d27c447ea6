"""The order in which a worker of a shard takes from the queues."""

from kombu.utils.scheduling import priority_cycle

from app.core import clock
from app.core.settings import settings
from tasks.queues import WAIT_SECONDS, given_shard, tick_queue
from tasks.schedule import ms_until_next_ticks

TICK_QUEUES = tick_queue(0).removesuffix("0")
"""What the names of all queues of ticks begin with."""
_WAIT_MS = WAIT_SECONDS * 1000


class ShardQueueOrder(priority_cycle):
    """Take from fan-outs and the own shard's queue; late in an interval also from the others'.

    A tick in a worker that does not hold its ticker costs as much as four others. So the others'
    ticks are left to their own workers for half of the interval, and what then still waits, because
    a worker is lost or has too much to do, is taken by the idle ones. A plain worker, which has no
    shard, takes from all queues at all times.
    """

    def __init__(self, items: list[str] | None = None) -> None:
        super().__init__(items)
        shard = given_shard(settings())
        self.own = None if shard is None else tick_queue(shard)

    def others(self) -> list[str]:
        """Return the other shards' queues; none in a plain worker."""
        if self.own is None:
            return []
        return [name for name in self.items if name.startswith(TICK_QUEUES) and name != self.own]

    def skipped(self) -> list[str]:
        """Return the queues not to take from now."""
        interval_ms = settings().interval_ms
        left_ms = ms_until_next_ticks(clock.now_ms(), interval_ms, settings().settle_ms)
        # A wait that lasted into the next interval would take the first of its ticks.
        is_late = _WAIT_MS < left_ms <= interval_ms / 2
        return [] if is_late else self.others()

    def consume(self, n: int) -> list[str]:
        """Return the queues to take from now, in that order."""
        skipped = self.skipped()
        return [name for name in self.items[:n] if name not in skipped] or self.items[:n]
