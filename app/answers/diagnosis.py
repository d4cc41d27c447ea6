"""Explain why a ticker has no recent tick: what is known and what to check."""

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, field

from app.answers.durations import since
from app.answers.freshness import is_ahead
from app.core.settings import Settings
from app.storage import keys
from app.storage.published import Number, read_error_name, read_number, read_stamp

MAX_TICKERS_NAMED = 8
MIN_HEARTBEAT_TIMEOUT_MS = 5000
RECENT_FAILURE_MS = 60_000
TICKS_FAIL = "its ticks fail"
TICK_LATE = "its tick is late: the workers are behind"


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """Times of the newest fan-out and tick in epoch ms; None if there was none within a day.

    `outdated_ms` is that of the newest tick in a worker that is older than the ticker's state;
    `shards` tells when processes with different numbers of shards last met, by these numbers;
    `wrong_clocks` when the clock of beat's or a worker's host was last found to be wrong.
    """

    now_ms: float
    fanout_ms: Number | None
    tick_ms: Number | None
    outdated_ms: Number | None = None
    shards: Mapping[str, Number] = field(default_factory=dict)
    wrong_clocks: Mapping[str, Number] = field(default_factory=dict)

    @classmethod
    def from_fields(cls, fields: Mapping[bytes, bytes], now_ms: float) -> "Heartbeat":
        """Parse the fields of the heartbeat key."""
        fanout, tick, outdated = (
            read_stamp(fields.get(name)) for name in (b"fanout", b"tick", b"outdated")
        )
        differing = {
            " and ".join(found.groups()): stamp
            for name, text in fields.items()
            if (found := keys.DIFFERING_SHARDS.fullmatch(name.decode("ascii", "replace")))
            and (stamp := read_stamp(text)) is not None
        }
        wrong_clocks = {
            process: stamp
            for process, name in keys.WRONG_CLOCKS.items()
            if (stamp := read_stamp(fields.get(name.encode()))) is not None
        }
        return cls(now_ms, fanout, tick, outdated, differing, wrong_clocks)

    def is_recent(self, stamp_ms: Number | None, settings: Settings) -> bool:
        """Return whether a heartbeat is at most three intervals (and at least 5 s) old."""
        timeout_ms = max(MIN_HEARTBEAT_TIMEOUT_MS, 3 * settings.interval_ms)
        return stamp_ms is not None and self.now_ms - stamp_ms <= timeout_ms

    def clock_trouble(self, settings: Settings) -> str | None:
        """Return which heartbeat is ahead of this clock and what to check, None if none is."""
        for name, stamp_ms in (("fan-out", self.fanout_ms), ("ticks", self.tick_ms)):
            if is_ahead(stamp_ms, self.now_ms, settings.interval_ms):
                return (
                    f"clocks differ: {name} {self.last_seen(stamp_ms)}; set the clocks of the "
                    "hosts of beat, workers and this reader right (NTP)"
                )
        return None

    def last_seen(self, stamp_ms: Number | None) -> str:
        """Return when a heartbeat was last seen, as text."""
        return "never seen" if stamp_ms is None else f"last seen {since(stamp_ms, self.now_ms)}"


@dataclass(frozen=True, slots=True)
class TickFailures:
    """A ticker's failed ticks: their number, and time and error of the newest."""

    count: int = 0
    last_ms: Number | None = None
    error: str | None = None

    @classmethod
    def from_fields(cls, fields: Mapping[bytes, bytes]) -> "TickFailures":
        """Parse the fields of a ticker's failures key."""
        count = read_number(fields.get(b"count"))
        if not count:
            return cls()
        return cls(
            int(count), read_stamp(fields.get(b"as_of")), read_error_name(fields.get(b"error"))
        )


def why_outdated(heartbeat: Heartbeat, settings: Settings) -> str | None:
    """Return what to do about workers of an older version, whose ticks are lost; None if none."""
    if not heartbeat.is_recent(heartbeat.outdated_ms, settings):
        return None
    return (
        "workers of an older version meet states that a newer one wrote, and leave them alone, "
        f"{heartbeat.last_seen(heartbeat.outdated_ms)}: end the older workers"
    )


def why_shards_differ(heartbeat: Heartbeat, settings: Settings) -> str | None:
    """Return which numbers of shards processes have that should have one; None if they agree."""
    recent = [n for n, stamp in heartbeat.shards.items() if heartbeat.is_recent(stamp, settings)]
    if not recent:
        return None
    return (
        f"ORDERFLOW_SHARDS differs between beat and workers, {', '.join(recent)}: "
        "set the same number in every process"
    )


def why_clocks_differ(heartbeat: Heartbeat, settings: Settings) -> str | None:
    """Return whose clock differs from Redis's and what to check; None if none does.

    Where beat's or the workers' alone is wrong, ticks go on by the others.
    """
    found = heartbeat.wrong_clocks.items()
    wrong = [f"{process}'s" for process, at in found if heartbeat.is_recent(at, settings)]
    if not wrong:
        return None
    return (
        f"clocks differ: by Redis's clock, {' and '.join(wrong)} is wrong; "
        "set the clocks of the hosts right (NTP)"
    )


def describe_refused_writes(refusal: str) -> str:
    """Return why nothing is analysed while Redis refuses writes: nothing has to be started."""
    return f"Redis {refusal}; beat and workers go on by themselves once it accepts writes"


def why_no_tick(heartbeat: Heartbeat, failures: TickFailures, settings: Settings) -> str | None:
    """Return why a ticker with recent quotes has no tick, None if no cause is found."""
    clock_trouble = heartbeat.clock_trouble(settings)
    if clock_trouble is not None:
        return clock_trouble
    if not heartbeat.is_recent(heartbeat.fanout_ms, settings):
        return why_clocks_differ(heartbeat, settings) or (
            "the analysis is not running: its fan-out was "
            f"{heartbeat.last_seen(heartbeat.fanout_ms)}; start "
            "`celery -A tasks beat` and `celery -A tasks worker`"
        )
    if (
        failures.count
        and failures.last_ms is not None
        and failures.last_ms > heartbeat.now_ms - RECENT_FAILURE_MS
    ):
        return (
            f"{TICKS_FAIL}: {failures.count} so far, "
            f"the last {since(failures.last_ms, heartbeat.now_ms)} with {failures.error}; "
            "see the workers' log"
        )
    if not heartbeat.is_recent(heartbeat.tick_ms, settings):
        return (
            f"no worker finishes ticks: they were {heartbeat.last_seen(heartbeat.tick_ms)}; start "
            "`celery -A tasks worker` or look at its log"
        )
    return None


def nearest(ticker: str, active: list[str]) -> list[str]:
    """Return the active tickers with the closest names first, at most eight.

    >>> nearest("spy", ["AAPL", "QQQ", "SPY", "SPYG"])
    ['SPY', 'SPYG', 'AAPL', 'QQQ']
    """
    wanted = ticker.casefold()
    closeness = {
        name: difflib.SequenceMatcher(None, wanted, name.casefold()).ratio() for name in active
    }
    return sorted(active, key=lambda name: (-closeness[name], name))[:MAX_TICKERS_NAMED]


def describe_active_tickers(ticker: str, active: list[str]) -> str:
    """Return the active tickers with the closest names, as text."""
    if not active:
        return "no ticker is active"
    names = nearest(ticker, active)
    more = len(active) - len(names)
    return f"active, nearest first: {', '.join(names)}" + (f" and {more} more" if more else "")
