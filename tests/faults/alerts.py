"""The alert that each kind of fault fires if it lasts; none where the system goes on by itself.

Fault plans end most faults after some seconds, before an alert may fire: docs/runbook.md has the
same table for people, and tests/outside/test_alerts.py lets the faults last.
"""

NONE = ""
WORKER_GONE = "OrderflowCeleryWorkerGone"
REDIS_DOWN = "OrderflowRedisDown"
FANOUTS_STOPPED = "OrderflowFanoutsStopped"
FEEDS_BEHIND = "OrderflowFeedsBehind"

ALERTS: dict[str, str] = {
    "kill-worker": WORKER_GONE,
    "term-worker": WORKER_GONE,
    "kill-holder": WORKER_GONE,
    "overtake-holder": WORKER_GONE,
    "kill-fan-out-worker": WORKER_GONE,
    "freeze-worker": WORKER_GONE,
    "kill-beat": FANOUTS_STOPPED,
    "term-beat": FANOUTS_STOPPED,
    "two-beats": NONE,
    "restart-redis": REDIS_DOWN,
    "restart-empty": REDIS_DOWN,
    "freeze-redis": REDIS_DOWN,
    "slow-loading": REDIS_DOWN,
    "cut-connections": NONE,
    "out-of-memory": FANOUTS_STOPPED,
    "read-only": FANOUTS_STOPPED,
    "failed-save": FANOUTS_STOPPED,
    "too-few-replicas": FANOUTS_STOPPED,
    "state-lost": NONE,
    "state-garbled": NONE,
    "newer-engine": "OrderflowTickersStuck",
    "wrong-types": NONE,
    "backlog": NONE,
    "million": NONE,
    "copies": NONE,
    "shuffled": NONE,
    "late-records": FEEDS_BEHIND,
    "late-feed": FEEDS_BEHIND,
    "delayed-feed": NONE,
    "refused-flood": "OrderflowRecordsRejected",
    "silence": "OrderflowBrokerSilent",
    "clock-back": NONE,
    "clock-ahead": "OrderflowClockAhead",
    "beat-clock": NONE,
    "worker-clocks": NONE,
    "all-clocks-ahead": "OrderflowClockAhead",
    "all-clocks-behind": FANOUTS_STOPPED,
    "feed-clock-ahead": "OrderflowBrokerSilent",
    "feed-clock-behind": "OrderflowBrokerSilent",
    "reader-clock": "OrderflowClockAhead",
}
