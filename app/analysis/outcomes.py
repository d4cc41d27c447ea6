"""Sum up what followed events: the mid's move 10, 60 and 300 s after they were noticed.

Moves of the mid are in bp of it. A move needs a valid mid at both of its ends; a sleep or a gap
between them drops it. Every whole second adds such a move to the baseline of its half hour.

Moves are added up over blocks of 300 s of the clock, by when they began: what overlaps in time is
not independent, and the spread of the blocks' sums tells the error of a mean. A block enters the
totals when its last move is complete, so that the totals change thrice in five minutes and are the
same however the seconds were cut into ticks.
"""

from array import array
from dataclasses import dataclass, field
from typing import Final

from app.analysis.quantiles import FloatArray, IntArray
from app.analysis.trading_hours import TradingHours

SECOND_MS: Final = 1000
HORIZON_SECONDS: Final = (10, 60, 300)
BLOCK_MS: Final = 300_000
RING_SECONDS: Final = max(HORIZON_SECONDS) + 1
MIN_DROPPED: Final = 32
"""To drop the front of a list moves all the rest."""
KEY_SEPARATOR: Final = "|"

# Places in the sums of a horizon: number of moves, their sum, ups and downs, and over the blocks:
# their number, and sums of products of their n, s (sum), u (ups) and d (downs). The baseline, whose
# shares have no interval, ends before UU.
N, SUM, UP, DOWN, BLOCKS, SS, SN, NN, UU, UN, DD, DN, UD = range(13)
EVENT_SUMS: Final = 13
BASELINE_SUMS: Final = 8
"""`UU` and what follows it are of events only."""
# Places in the sums of what a block's events and its baseline share: products of s and n of the
# events with the sum (t) and number (c) of the baseline's moves that began in the same block.
ST, SC, NT, NC = range(4)
SHARED_SUMS: Final = 4


def _zeros(count: int) -> FloatArray:
    return array("d", bytes(8 * count))


@dataclass(slots=True)
class RunningBlock:
    """The moves of one horizon in a block that is not complete."""

    n: int = 0
    total: float = 0.0
    up: int = 0
    down: int = 0

    def add(self, move: float) -> None:
        """Add a move in bp."""
        self.n += 1
        self.total += move
        if move > 0:
            self.up += 1
        elif move < 0:
            self.down += 1


@dataclass(slots=True)
class EventSums:
    """The closed blocks of one type and side: sums by horizon, numbers by half hour and horizon.

    `shared` are sums by horizon, too: of what the events' moves have in common with the baseline's.
    """

    sums: FloatArray = field(default_factory=lambda: _zeros(len(HORIZON_SECONDS) * EVENT_SUMS))
    shared: FloatArray = field(default_factory=lambda: _zeros(len(HORIZON_SECONDS) * SHARED_SUMS))
    counts: IntArray = field(default_factory=lambda: array("I"))

    def count(self, horizon: int, slot: int) -> int:
        """Return how many moves began in a half hour."""
        place = slot * len(HORIZON_SECONDS) + horizon
        return self.counts[place] if place < len(self.counts) else 0

    def add(self, horizon: int, block: RunningBlock, baseline: RunningBlock, slot: int) -> None:
        """Add a closed block, and what its moves share with those of all its seconds."""
        _add_block(self.sums, horizon * EVENT_SUMS, block)
        n, up, down = float(block.n), float(block.up), float(block.down)
        first = horizon * EVENT_SUMS
        self.sums[first + UU] += up * up
        self.sums[first + UN] += up * n
        self.sums[first + DD] += down * down
        self.sums[first + DN] += down * n
        self.sums[first + UD] += up * down
        first = horizon * SHARED_SUMS
        self.shared[first + ST] += block.total * baseline.total
        self.shared[first + SC] += block.total * baseline.n
        self.shared[first + NT] += n * baseline.total
        self.shared[first + NC] += n * baseline.n
        place = slot * len(HORIZON_SECONDS) + horizon
        if place >= len(self.counts):
            self.counts.extend([0] * (place + 1 - len(self.counts)))
        self.counts[place] += block.n


@dataclass(slots=True)
class BaselineSums:
    """The closed blocks of all whole seconds at one horizon: sums of each half hour in turn."""

    sums: FloatArray = field(default_factory=lambda: _zeros(0))


def _add_block(sums: FloatArray, first: int, block: RunningBlock) -> None:
    n, total = float(block.n), block.total
    sums[first + N] += n
    sums[first + SUM] += total
    sums[first + UP] += block.up
    sums[first + DOWN] += block.down
    sums[first + BLOCKS] += 1.0
    sums[first + SS] += total * total
    sums[first + SN] += total * n
    sums[first + NN] += n * n


@dataclass(slots=True)
class OutcomeTotals:
    """All closed blocks: of events by type and side, and of all whole seconds by horizon.

    `until` holds by horizon the end of the newest block: what began before is in the totals.
    `revision` counts the changes, `stored_revision` is the one that the stored state holds.
    """

    revision: int = 0
    until: list[int] = field(default_factory=lambda: [0] * len(HORIZON_SECONDS))
    events: dict[str, EventSums] = field(default_factory=dict)
    baseline: list[BaselineSums] = field(
        default_factory=lambda: [BaselineSums() for _ in HORIZON_SECONDS]
    )
    stored_revision: int = field(default=0, init=False)

    def add_event_block(
        self, key: str, horizon: int, block: RunningBlock, baseline: RunningBlock, slot: int
    ) -> None:
        """Add a closed block of events; `baseline` is that of all its whole seconds."""
        sums = self.events.get(key)
        if sums is None:
            sums = self.events[key] = EventSums()
        sums.add(horizon, block, baseline, slot)

    def add_baseline_block(self, horizon: int, block: RunningBlock, slot: int) -> None:
        """Add a closed block of all whole seconds."""
        sums = self.baseline[horizon].sums
        missing = (slot + 1) * BASELINE_SUMS - len(sums)
        if missing > 0:
            sums.extend(_zeros(missing))
        _add_block(sums, slot * BASELINE_SUMS, block)


@dataclass(slots=True)
class Horizon:
    """The running block of one horizon: where it ends, the baseline's moves and the events'.

    `next_pending` is the place of the oldest pending event whose move is not complete.
    """

    block_end: int = 0
    slot: int = 0
    next_pending: int = 0
    baseline: RunningBlock = field(default_factory=RunningBlock)
    events: dict[str, RunningBlock] = field(default_factory=dict)


def _empty_ring() -> IntArray:
    return array("Q", [0] * RING_SECONDS)


@dataclass(slots=True)
class Outcomes:
    """What followed a ticker's events.

    `mids` holds twice the valid mid of the newest seconds, 0 where there was none;
    `pending_seconds` and `pending_keys` the events whose moves are not complete, in the order they
    were noticed. The codec packs the totals apart from the rest: they are large and change seldom.
    """

    mids: IntArray = field(default_factory=_empty_ring)
    pending_seconds: IntArray = field(default_factory=lambda: array("I"))
    pending_keys: list[str] = field(default_factory=list)
    horizons: list[Horizon] = field(default_factory=lambda: [Horizon() for _ in HORIZON_SECONDS])
    totals: OutcomeTotals = field(default_factory=OutcomeTotals, init=False)

    def note_event(self, key: str, second: int) -> None:
        """Note an event, by type and side, that was noticed at the second being closed."""
        self.pending_seconds.append(second)
        self.pending_keys.append(key)

    def close_second(self, end: int, mid2: int, hours: TradingHours) -> None:
        """Add the moves that are complete at a whole second; call `note_event` after it.

        `mid2` is twice the valid mid, 0 where there is none.
        """
        second = end // SECOND_MS
        self.mids[second % RING_SECONDS] = mid2
        for place, seconds in enumerate(HORIZON_SECONDS):
            started = second - seconds
            horizon = self.horizons[place]
            if started * SECOND_MS >= horizon.block_end:
                self._next_block(place, started * SECOND_MS, hours)
            before = self.mids[started % RING_SECONDS]
            move = 0.0
            if before and mid2:
                # Whole numbers are subtracted: the same for any price unit.
                move = 1e4 * (float(mid2 - before) / float(before))
                horizon.baseline.add(move)
            self._add_events(horizon, started, move, is_known=before > 0 and mid2 > 0)
        self._drop_complete()

    def _add_events(self, horizon: Horizon, started: int, move: float, *, is_known: bool) -> None:
        """Add a move to the events that were noticed when it began."""
        seconds = self.pending_seconds
        while horizon.next_pending < len(seconds) and seconds[horizon.next_pending] <= started:
            if is_known and seconds[horizon.next_pending] == started:
                key = self.pending_keys[horizon.next_pending]
                block = horizon.events.get(key)
                if block is None:
                    block = horizon.events[key] = RunningBlock()
                block.add(move)
            horizon.next_pending += 1

    def _drop_complete(self) -> None:
        """Drop pending events that are complete at all horizons, some at a time."""
        complete = self.horizons[-1].next_pending
        if complete >= MIN_DROPPED or (complete and complete == len(self.pending_seconds)):
            del self.pending_seconds[:complete]
            del self.pending_keys[:complete]
            for horizon in self.horizons:
                horizon.next_pending -= complete

    def _next_block(self, place: int, start: int, hours: TradingHours) -> None:
        """Close the running block of a horizon, and begin the one that an instant lies in."""
        horizon = self.horizons[place]
        self._close_block(place)
        phase = hours.at(start)
        since_open = (start - phase.opened_at) // BLOCK_MS * BLOCK_MS
        horizon.block_end = min(phase.opened_at + since_open + BLOCK_MS, phase.ends_at)
        horizon.slot = phase.slot(start)

    def _close_block(self, place: int) -> None:
        horizon, totals = self.horizons[place], self.totals
        if horizon.baseline.n:
            totals.revision += 1
            totals.until[place] = horizon.block_end
            totals.add_baseline_block(place, horizon.baseline, horizon.slot)
            for key in sorted(horizon.events):
                block = horizon.events[key]
                totals.add_event_block(key, place, block, horizon.baseline, horizon.slot)
            horizon.baseline, horizon.events = RunningBlock(), {}

    def close_blocks(self) -> None:
        """Close the running blocks, as at the end of a tape."""
        for place, horizon in enumerate(self.horizons):
            self._close_block(place)
            horizon.block_end = 0

    def suspend(self) -> None:
        """Drop the moves that a sleep or a gap cuts, and close all blocks."""
        self.close_blocks()
        for horizon in self.horizons:
            horizon.next_pending = 0
        self.mids = _empty_ring()
        self.pending_seconds, self.pending_keys = array("I"), []
