"""The order in which a worker of a shard takes from the queues, by their lengths."""

from tasks.fast_path.queue_monitor import QueueMonitor
from tasks.queue_order import ShardQueueOrder


class MonitoredQueueOrder(ShardQueueOrder):
    """Take from other shards' queues that the monitor found to be late."""

    def __init__(self, items: list[str] | None = None) -> None:
        super().__init__(items)
        self.monitor = QueueMonitor()

    def skipped(self) -> list[str]:
        """Return the queues not to take from now."""
        return [name for name in self.others() if name not in self.monitor.helped]

    def rotate(self, last_used: str) -> None:
        """Note which queue the newest message came from."""
        if last_used == self.own:
            self.monitor.pause()
