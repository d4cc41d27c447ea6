"""Fold a ticker's records in event order, and say at any whole second what is going on.

It has no clock: time comes in as `as_of`.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Final

from app.analysis.bars import SECOND_MS, Bar, BarFold
from app.analysis.baselines import SecondFacts
from app.analysis.behaviors import behaviors_of
from app.analysis.detector_context import NEVER
from app.analysis.dispatch import Listeners
from app.analysis.metrics import metrics_of
from app.analysis.patterns.events import Event, whole_second
from app.analysis.records import UNSIGNED, Batch, Quote, Trade
from app.analysis.results import Analysis, Quality, quality_of
from app.analysis.rolling_bars import BarTable
from app.analysis.state import Detectors, Gap, Snapshot, State, Weak, new_state
from app.analysis.touch import Moves, Visit, is_better, taken_side
from app.analysis.windows import SPANS, WEAK_EVENT_SECONDS, WINDOWS

SLEEP_AFTER_SECONDS: Final = 300
LATE_MS: Final = 2000
MEDIAN_STRENGTH: Final = 0.5
WEAK_MS: Final = WEAK_EVENT_SECONDS * SECOND_MS

Faults = dict[int, list[str]]


class Engine:
    """One ticker's fold: its state, the table of its newest bars, and who listens."""

    def __init__(self, state: State, table: BarTable) -> None:
        self.state = state
        self.table = table
        self._sealed: list[Bar] = []
        self._levels_changed = [False, False]
        self._listeners = Listeners(state)

    @classmethod
    def new(cls, ticker: str) -> "Engine":
        """Begin with a ticker of which nothing was seen."""
        return cls(new_state(ticker), BarTable(max(SPANS), spans=SPANS))

    def advance(self, batch: Batch, as_of: int) -> Analysis:
        """Fold the records stamped after the last `as_of` up to this one, and say what is found."""
        self.fold(batch, as_of)
        return self.analysis()

    def fold(self, batch: Batch, as_of: int, stored: Mapping[int, int] | None = None) -> None:
        """Fold records stamped after the last `as_of` and up to this one, in stream order.

        `as_of` is a whole second in ms; `stored` counts, by the end of their second, the members
        that the broker's keys hold.
        """
        faults = _by_second(batch.faults)
        counts = stored or {}
        state = self.state
        for record in batch.records:
            stamp = record.stamp
            if stamp > state.fold.end or state.is_asleep:
                self._reach(stamp, faults, counts)
            if state.moment and stamp > state.moment:
                self._end_moment()
            if stamp > state.scene.next_due:
                self._listeners.fire(stamp)
            if isinstance(record, Quote):
                self._quote(record)
            else:
                self._trade(record)
        self._reach_end(as_of, faults, counts)
        state.as_of = as_of

    def _reach(self, stamp: float, faults: Faults, stored: Mapping[int, int]) -> None:
        """Close the seconds that end before a stamp, so that the current one holds it."""
        state = self.state
        if stamp > state.fold.end and state.fold.end:
            end = whole_second(stamp)
            while state.fold.end < end and not state.is_asleep:
                self._close_second(faults, stored)
        if state.is_asleep or not state.fold.end:
            self._wake(stamp)

    def _reach_end(self, as_of: int, faults: Faults, stored: Mapping[int, int]) -> None:
        state = self.state
        if not state.fold.end:
            return
        while state.fold.end <= as_of and not state.is_asleep:
            self._close_second(faults, stored)
        if state.is_asleep:
            self.table.fill_to(as_of)
            self._sealed += self.table.take_uncovered()
            self._look_at_levels(as_of)

    def _wake(self, stamp: float) -> None:
        state = self.state
        end = whole_second(stamp)
        if not state.scene.first_stamp:
            state.scene.first_stamp = stamp
        state.fold.begin(end)
        state.fold.integrated_to = max(float(end - SECOND_MS), state.lost_to)
        state.is_asleep = False
        state.newest_second = end
        state.snapshots = []

    def _end_moment(self) -> None:
        stamp, self.state.moment = self.state.moment, 0.0
        self._listeners.moment_ended(stamp)

    def _quote(self, quote: Quote) -> None:
        state = self.state
        scene = state.scene
        state.fold.quoted(quote)
        scene.market.quoted(quote)
        if not scene.book.first_quote:
            scene.book.first_quote = quote.stamp
        bid, ask = scene.visits
        if bid is None or quote.bid_size != bid.size or quote.bid_price != bid.price:
            self._side(0, quote.bid_price, quote.bid_size, quote.stamp)
        else:
            bid.printed_since_quote = 0.0
        if ask is None or quote.ask_size != ask.size or quote.ask_price != ask.price:
            self._side(1, quote.ask_price, quote.ask_size, quote.stamp)
        else:
            ask.printed_since_quote = 0.0
        self._listeners.quoted(quote)

    def _side(self, side: int, price: int, size: float, stamp: float) -> None:
        """Move one side of the touch."""
        scene = self.state.scene
        visit = scene.visits[side]
        if visit is not None and size > 0 and price == visit.price:
            self._resize(side, visit, size, stamp)
            visit.printed_since_quote = 0.0
            return
        to = price if size > 0 else None
        if visit is not None:
            if to is None or not is_better(side, to, visit.price):
                scene.book.remove(side, stamp, visit.size)
            self._listeners.left(side, visit, stamp, to)
            self.state.levels[side].leave(stamp, to)
            scene.visits[side] = None
        if to is not None:
            self._enter(side, to, size, stamp, visit)

    def _resize(self, side: int, visit: Visit, size: float, stamp: float) -> None:
        scene = self.state.scene
        before, visit.size = visit.size, size
        if size < before:
            visit.decreased += before - size
            scene.book.remove(side, stamp, before - size)
        else:
            visit.increased += size - before
            scene.book.removed[side] -= size - before
        self.state.levels[side].resize(size, stamp)
        self._listeners.resized(side, visit, stamp, before)

    def _enter(self, side: int, price: int, size: float, stamp: float, left: Visit | None) -> None:
        scene = self.state.scene
        scene.tick.quoted(price)
        visit = scene.visits[side] = Visit(price, stamp, size, size)
        self.state.levels[side].enter(price, size, stamp)
        self._listeners.entered(side, visit)
        if left is None:
            return
        moves, book = scene.moves[side], scene.book
        book.changes += 1
        book.undone += moves.changed(stamp, left.price, price)
        jump = moves.jump(stamp, left.price, price)
        book.jump = max(book.jump, jump)
        self._listeners.jumped(side, visit, jump, left)

    def _trade(self, trade: Trade) -> None:
        state = self.state
        scene = state.scene
        state.fold.printed(trade)
        side = scene.market.printed(trade)
        if self._listeners.awaits_trades:
            scene.trades_seen = True
            self._listeners.find()
        self._listeners.printed(trade, side)
        state.moment = trade.stamp
        if side.taker == UNSIGNED:
            return
        taken = taken_side(side.taker)
        visit = scene.visits[taken]
        if visit is not None and visit.price == trade.price:
            visit.printed_given = side.is_given and (
                visit.printed_given or not visit.printed_since_quote
            )
            visit.printed_since_quote += trade.size
            scene.book.traded[taken] += trade.size
            scene.book.traded_given[taken] &= side.is_given

    def _close_second(self, faults: Faults, stored: Mapping[int, int]) -> None:
        state = self.state
        scene, fold = state.scene, state.fold
        end = fold.end
        if state.moment:
            self._end_moment()
        if scene.next_due <= end:
            self._listeners.fire(math.nextafter(end, NEVER))
        for name in faults.pop(end, ()):
            fold.fault(name)
        fold.bar.stored = stored.get(end, 0)
        depth_was_known = bool(fold.depth)
        bar = fold.close()
        if bar.quote_count or bar.trade_count:
            state.newest_second = end
        falls_asleep = end - state.newest_second >= SLEEP_AFTER_SECONDS * SECOND_MS
        scene.facts = self._facts(bar, depth_was_known=depth_was_known)
        if not falls_asleep:
            scene.usual.gather(scene.facts)
            self._listeners.second(end)
            scene.usual.sample(scene.facts, scene.tick.size)
        past = scene.past
        fold.renew_thresholds(
            bar, past.large_size[0] or 0.0, past.large_size[1] or 0.0, past.depth or 0.0
        )
        scene.events.settle(end)
        scene.facts = None
        scene.book.begin()
        self._look_at_levels(end)
        self._keep(bar)
        if falls_asleep:
            self._sleep(end)

    def _look_at_levels(self, end: int) -> None:
        for side, levels in enumerate(self.state.levels):
            self._levels_changed[side] |= levels.second(end)

    def _facts(self, bar: Bar, *, depth_was_known: bool) -> SecondFacts:
        scene = self.state.scene
        book, valid = scene.book, scene.market.valid
        mid2 = 0 if valid is None else valid.bid_price + valid.ask_price
        before, scene.mid2 = scene.mid2, mid2
        return SecondFacts(
            quote=scene.market.quote,
            spread=scene.market.spread or None,
            mid_move=(mid2 - before) / 2 if mid2 and before else None,
            signed_volume=float(bar.buy_volume - bar.sell_volume),
            log_ofi=float(bar.log_ofi) if depth_was_known else None,
            quote_count=bar.quote_count,
            trade_count=bar.trade_count,
            flicker_share=book.undone / book.changes if book.changes else None,
            jump=book.jump,
            removals=[book.net_removal(0), book.net_removal(1)],
            trades_seen=scene.trades_seen,
        )

    def _keep(self, bar: Bar) -> None:
        state = self.state
        self.table.add(bar)
        self._sealed += self.table.take_uncovered()
        state.first_quote = self.table.first_quote
        state.recent.append(bar)
        state.snapshots.append(Snapshot(bar.end, state.fold.copied()))
        oldest = bar.end - LATE_MS
        while state.recent[0].end <= oldest:
            self._sealed.append(state.recent.pop(0))
        while state.snapshots[0].end < oldest:
            del state.snapshots[0]

    def lose(self, to: float) -> None:
        """Go on after a gap: all records from the last `as_of` to an instant are lost."""
        state = self.state
        if not state.fold.end or to <= state.as_of:
            return
        state.gaps.append(Gap(float(state.as_of), to))
        if not state.is_asleep:
            self._rest(state.as_of, "gap")
        self.table.lost_to = whole_second(to) - SECOND_MS
        state.lost_to = to

    def _sleep(self, end: int) -> None:
        self._rest(end, "silence")

    def _rest(self, end: int, reason: str) -> None:
        """End what is open, forget what was running, and wait for the next record."""
        state = self.state
        scene = state.scene
        scene.events.close_all(float(end), reason)
        state.detectors = Detectors()
        scene.visits = [None, None]
        scene.moves = [Moves(), Moves()]
        scene.mid2 = 0
        scene.next_due = NEVER
        scene.usual.forget_recent()
        for levels in state.levels:
            levels.leave(float(end), None)
        state.is_asleep = True
        self._sealed.extend(state.recent)
        state.recent = []
        self._listeners.find()

    def analysis(self) -> Analysis:
        """Say what is going on as of the last whole second folded; changes are told once."""
        state = self.state
        as_of = state.as_of
        windows = self.table.windows(as_of, SPANS)
        changed = state.scene.events.take_changed()
        for event in changed:
            self._note_ended(event)
        analysis = Analysis(
            as_of=as_of,
            metrics={
                name: metrics_of(window) for name, window in zip(WINDOWS, windows, strict=True)
            },
            quality={name: self._quality(as_of, span) for name, span in WINDOWS.items()},
            last_sweep={
                name: self._sweep_since(as_of - span * SECOND_MS) for name, span in WINDOWS.items()
            },
            behaviors=behaviors_of(state.scene, state.detectors.momentum),
            changed=changed,
            forgotten=self._forgotten(as_of),
            levels=[
                levels.top() if is_changed else None
                for levels, is_changed in zip(state.levels, self._levels_changed, strict=True)
            ],
            sealed=self._sealed,
            failures=self._listeners.failures,
        )
        self._sealed, self._listeners.failures, self._levels_changed = [], {}, [False, False]
        return analysis

    def _note_ended(self, event: Event) -> None:
        state = self.state
        newest = state.last_sweep
        if event.type == "sweep" and (newest is None or event.opened_at >= newest.opened_at):
            state.last_sweep = replace(event)
        if (
            event.closed_at is not None
            and event.strength is not None
            and event.strength < MEDIAN_STRENGTH
        ):
            state.weak.append(Weak(event.closed_at + WEAK_MS, event.opened_at, event.id))

    def _forgotten(self, as_of: int) -> list[tuple[float, str]]:
        state = self.state
        gone = [(weak.opened_at, weak.id) for weak in state.weak if weak.goes_at <= as_of]
        if gone:
            state.weak = [weak for weak in state.weak if weak.goes_at > as_of]
        return gone

    def _sweep_since(self, start: int) -> Event | None:
        sweep = self.state.last_sweep
        return sweep if sweep is not None and sweep.opened_at > start else None

    def _quality(self, as_of: int, seconds: int) -> Quality:
        state = self.state
        start = as_of - seconds * SECOND_MS
        quality: Quality = quality_of(self.table.quality(as_of, seconds))
        gaps = [[gap.start, gap.end] for gap in state.gaps if gap.end > start]
        if gaps:
            quality["gaps"] = gaps
        if state.rebuilt_at:
            quality["rebuilt_at"] = state.rebuilt_at
        failed = sorted(name for name, second in state.failed.items() if second > start)
        if failed:
            quality["failed_detectors"] = failed
        return quality

    def refold(self, batch: Batch, stored: Mapping[int, int]) -> None:
        """Fold the records of the last 2 s again, late ones now in their places.

        Only bars change: events, levels and scales stay as the records in time made them.
        """
        state = self.state
        if (
            not state.snapshots
            or not state.recent
            or state.recent[0].end != state.snapshots[0].end + SECOND_MS
        ):
            return
        fold = state.snapshots[0].fold.copied()
        faults = _by_second(batch.faults)
        known, state.recent = state.recent, []
        state.snapshots = state.snapshots[:1]
        waiting = iter(batch.records)
        record = next(waiting, None)
        for old in known:
            fold.begin(old.end)
            while record is not None and record.stamp <= old.end:
                if isinstance(record, Quote):
                    fold.quoted(record)
                else:
                    fold.printed(record)
                record = next(waiting, None)
            self._refolded(fold, old, faults)
            self.state.recent[-1].stored = stored.get(old.end, 0)
        state.fold = fold

    def _refolded(self, fold: BarFold, old: Bar, faults: Faults) -> None:
        new = fold.bar
        late = new.quote_count + new.trade_count - old.quote_count - old.trade_count
        already = (old.quality or {}).get("late", 0)
        for name in faults.pop(old.end, ()):
            fold.fault(name)
        if late + already > 0:
            new.quality = {**(new.quality or {}), "late": max(0, late) + already}
        fold.close()
        fold.keep_thresholds(new, old)
        self.table.add(new)
        self.state.recent.append(new)
        self.state.snapshots.append(Snapshot(new.end, fold.copied()))


def _by_second(faults: Iterable[tuple[float, str]]) -> Faults:
    found: Faults = {}
    for stamp, name in faults:
        found.setdefault(whole_second(stamp), []).append(name)
    return found
