"""The order in which a worker of a shard takes from the queues."""

from kombu.utils.scheduling import priority_cycle

from app.core.settings import settings
from tasks.fast_path.queue_monitor import QueueMonitor
from tasks.queues import given_shard, tick_queue

TICK_QUEUES = tick_queue(0).removesuffix("0")
"""What the names of all queues of ticks begin with."""


class ShardQueueOrder(priority_cycle):
    """Take from fan-outs and the own shard's queue, and from others' only to help.

    A plain worker, which has no shard, takes from all queues at all times.
    """

    def __init__(self, items: list[str] | None = None) -> None:
        super().__init__(items)
        shard = given_shard(settings())
        self.own = None if shard is None else tick_queue(shard)
        self.monitor = QueueMonitor()

    def others(self) -> list[str]:
        """Return the other shards' queues; none in a plain worker."""
        if self.own is None:
            return []
        return [name for name in self.items if name.startswith(TICK_QUEUES) and name != self.own]

    def consume(self, n: int) -> list[str]:
        """Return the queues to take from now, in that order."""
        skipped = {*self.others()} - {*self.monitor.helped}
        return [name for name in self.items[:n] if name not in skipped] or self.items[:n]

    def rotate(self, last_used: str) -> None:
        """Note which queue the newest message came from."""
        if last_used == self.own:
            self.monitor.pause()
