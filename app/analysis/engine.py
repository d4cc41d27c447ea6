"""Fold a ticker's records in event order, and say at any whole second what is going on.

It has no clock: time comes in as `as_of`.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Final

from app.analysis.bars import SECOND_MS, Bar, BarBuilder
from app.analysis.baselines import SecondSample
from app.analysis.behaviors import compute_behaviors
from app.analysis.detector_context import NEVER
from app.analysis.detectors import new_detectors
from app.analysis.dispatch import DetectorDispatcher
from app.analysis.metrics import compute_metrics
from app.analysis.patterns.events import Event, whole_second
from app.analysis.records import UNSIGNED, Batch, Quote, Trade
from app.analysis.results import Quality, TickResult, build_quality
from app.analysis.rolling_bars import RollingBars
from app.analysis.state import BuilderCheckpoint, ExpiringEvent, Gap, State, new_state
from app.analysis.touch import BestPriceChanges, Visit, is_better, taken_side
from app.analysis.windows import SPANS, WEAK_EVENT_SECONDS, WINDOWS

SLEEP_AFTER_SECONDS: Final = 300
LATE_MS: Final = 2000
MEDIAN_STRENGTH: Final = 0.5
WEAK_MS: Final = WEAK_EVENT_SECONDS * SECOND_MS

Faults = dict[int, list[str]]


class Engine:
    """One ticker's fold: its state, the table of its newest bars, and who listens."""

    def __init__(self, state: State, table: RollingBars) -> None:
        self.state = state
        self.table = table
        self._final_bars: list[Bar] = []
        self._levels_changed = [False, False]
        self._dispatcher = DetectorDispatcher(state)

    @classmethod
    def new(cls, ticker: str) -> "Engine":
        """Begin with a ticker of which nothing was seen."""
        return cls(new_state(ticker), RollingBars(max(SPANS), spans=SPANS))

    def advance(self, batch: Batch, as_of: int) -> TickResult:
        """Fold the records stamped after the last `as_of` up to this one, and say what is found."""
        self.fold(batch, as_of)
        return self.result()

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
            if stamp > state.bar_builder.end or state.is_asleep:
                self._close_seconds_before(stamp, faults, counts)
            if state.open_stamp and stamp > state.open_stamp:
                self._complete_stamp()
            if stamp > state.context.next_timer:
                self._dispatcher.fire_timers(stamp)
            if isinstance(record, Quote):
                self._fold_quote(record)
            else:
                self._fold_trade(record)
        self._close_seconds_through(as_of, faults, counts)
        state.as_of = as_of

    def _close_seconds_before(
        self, stamp: float, faults: Faults, stored: Mapping[int, int]
    ) -> None:
        """Close the seconds that end before a stamp, so that the current one holds it."""
        state = self.state
        if stamp > state.bar_builder.end and state.bar_builder.end:
            end = whole_second(stamp)
            while state.bar_builder.end < end and not state.is_asleep:
                self._close_second(faults, stored)
        if state.is_asleep or not state.bar_builder.end:
            self._resume(stamp)

    def _close_seconds_through(self, as_of: int, faults: Faults, stored: Mapping[int, int]) -> None:
        state = self.state
        if not state.bar_builder.end:
            return
        while state.bar_builder.end <= as_of and not state.is_asleep:
            self._close_second(faults, stored)
        if state.is_asleep:
            self.table.fill_to(as_of)
            self._final_bars += self.table.take_uncovered()
            self._update_levels(as_of)

    def _resume(self, stamp: float) -> None:
        state = self.state
        end = whole_second(stamp)
        if not state.context.first_stamp:
            state.context.first_stamp = stamp
        state.bar_builder.begin(end)
        state.bar_builder.integrated_to = max(float(end - SECOND_MS), state.gap_end)
        state.is_asleep = False
        state.newest_second = end
        state.checkpoints = []

    def _complete_stamp(self) -> None:
        stamp, self.state.open_stamp = self.state.open_stamp, 0.0
        self._dispatcher.on_stamp_complete(stamp)

    def _fold_quote(self, quote: Quote) -> None:
        state = self.state
        context = state.context
        state.bar_builder.add_quote(quote)
        context.standing_quote.add_quote(quote)
        if not context.second_totals.first_quote:
            context.second_totals.first_quote = quote.stamp
        bid, ask = context.visits
        if bid is None or quote.bid_size != bid.size or quote.bid_price != bid.price:
            self._update_side(0, quote.bid_price, quote.bid_size, quote.stamp)
        else:
            bid.printed_since_quote = 0.0
        if ask is None or quote.ask_size != ask.size or quote.ask_price != ask.price:
            self._update_side(1, quote.ask_price, quote.ask_size, quote.stamp)
        else:
            ask.printed_since_quote = 0.0
        self._dispatcher.on_quote(quote)

    def _update_side(self, side: int, price: int, size: float, stamp: float) -> None:
        """Move one side of the touch."""
        context = self.state.context
        visit = context.visits[side]
        if visit is not None and size > 0 and price == visit.price:
            self._resize_best(side, visit, size, stamp)
            visit.printed_since_quote = 0.0
            return
        to = price if size > 0 else None
        if visit is not None:
            if to is None or not is_better(side, to, visit.price):
                context.second_totals.remove(side, stamp, visit.size)
            self._dispatcher.on_leave(side, visit, stamp, to)
            self.state.levels[side].leave(stamp, to)
            context.visits[side] = None
        if to is not None:
            self._enter_best(side, to, size, stamp, visit)

    def _resize_best(self, side: int, visit: Visit, size: float, stamp: float) -> None:
        context = self.state.context
        before, visit.size = visit.size, size
        if size < before:
            visit.decreased += before - size
            context.second_totals.remove(side, stamp, before - size)
        else:
            visit.increased += size - before
            context.second_totals.removed[side] -= size - before
        self.state.levels[side].resize(size, stamp)
        self._dispatcher.on_resize(side, visit, stamp, before)

    def _enter_best(
        self, side: int, price: int, size: float, stamp: float, left: Visit | None
    ) -> None:
        context = self.state.context
        context.tick_size.add_price(price)
        visit = context.visits[side] = Visit(price, stamp, size, size)
        self.state.levels[side].enter(price, size, stamp)
        self._dispatcher.on_enter(side, visit)
        if left is None:
            return
        moves, book = context.price_changes[side], context.second_totals
        book.changes += 1
        book.reversals += moves.add_change(stamp, left.price, price)
        jump = moves.jump(stamp, left.price, price)
        book.jump = max(book.jump, jump)
        self._dispatcher.on_jump(side, visit, jump, left)

    def _fold_trade(self, trade: Trade) -> None:
        state = self.state
        context = state.context
        state.bar_builder.add_trade(trade)
        side = context.standing_quote.sign_trade(trade)
        if self._dispatcher.no_trades_yet:
            context.trades_seen = True
            self._dispatcher.refresh()
        self._dispatcher.on_trade(trade, side)
        state.open_stamp = trade.stamp
        if side.aggressor == UNSIGNED:
            return
        taken = taken_side(side.aggressor)
        visit = context.visits[taken]
        if visit is not None and visit.price == trade.price:
            visit.printed_given = side.is_given and (
                visit.printed_given or not visit.printed_since_quote
            )
            visit.printed_since_quote += trade.size
            context.second_totals.traded[taken] += trade.size
            context.second_totals.traded_given[taken] &= side.is_given

    def _close_second(self, faults: Faults, stored: Mapping[int, int]) -> None:
        state = self.state
        context, fold = state.context, state.bar_builder
        end = fold.end
        if state.open_stamp:
            self._complete_stamp()
        if context.next_timer <= end:
            self._dispatcher.fire_timers(math.nextafter(end, NEVER))
        for name in faults.pop(end, ()):
            fold.add_fault(name)
        fold.bar.stored = stored.get(end, 0)
        depth_was_known = bool(fold.depth)
        bar = fold.close()
        if bar.quote_count or bar.trade_count:
            state.newest_second = end
        falls_asleep = end - state.newest_second >= SLEEP_AFTER_SECONDS * SECOND_MS
        context.second_sample = self._second_sample(bar, depth_was_known=depth_was_known)
        if not falls_asleep:
            context.baselines.add_recent_flows(context.second_sample)
            self._dispatcher.on_second(end)
            context.baselines.add_second(context.second_sample, context.tick_size.size)
        past = context.thresholds
        fold.set_thresholds(
            bar, past.large_size[0] or 0.0, past.large_size[1] or 0.0, past.depth or 0.0
        )
        context.events.close_due(end)
        context.second_sample = None
        context.second_totals.reset()
        self._update_levels(end)
        self._keep_bar(bar)
        if falls_asleep:
            self._sleep(end)

    def _update_levels(self, end: int) -> None:
        for side, levels in enumerate(self.state.levels):
            self._levels_changed[side] |= levels.close_second(end)

    def _second_sample(self, bar: Bar, *, depth_was_known: bool) -> SecondSample:
        context = self.state.context
        book, valid = context.second_totals, context.standing_quote.valid
        mid2 = 0 if valid is None else valid.bid_price + valid.ask_price
        before, context.mid2 = context.mid2, mid2
        return SecondSample(
            quote=context.standing_quote.quote,
            spread=context.standing_quote.spread or None,
            mid_move=(mid2 - before) / 2 if mid2 and before else None,
            signed_volume=float(bar.buy_volume - bar.sell_volume),
            log_ofi=float(bar.log_ofi) if depth_was_known else None,
            quote_count=bar.quote_count,
            trade_count=bar.trade_count,
            flicker_share=book.reversals / book.changes if book.changes else None,
            jump=book.jump,
            removals=[book.net_removal(0), book.net_removal(1)],
            trades_seen=context.trades_seen,
        )

    def _keep_bar(self, bar: Bar) -> None:
        state = self.state
        self.table.add(bar)
        self._final_bars += self.table.take_uncovered()
        state.first_quote = self.table.first_quote
        state.recent.append(bar)
        state.checkpoints.append(BuilderCheckpoint(bar.end, state.bar_builder.copy()))
        oldest = bar.end - LATE_MS
        while state.recent[0].end <= oldest:
            self._final_bars.append(state.recent.pop(0))
        while state.checkpoints[0].end < oldest:
            del state.checkpoints[0]

    def skip_gap(self, to: float) -> None:
        """Go on after a gap: all records from the last `as_of` to an instant are lost."""
        state = self.state
        if not state.bar_builder.end or to <= state.as_of:
            return
        state.gaps.append(Gap(float(state.as_of), to))
        if not state.is_asleep:
            self._suspend(state.as_of, "gap")
        self.table.lost_to = whole_second(to) - SECOND_MS
        state.gap_end = to

    def _sleep(self, end: int) -> None:
        self._suspend(end, "silence")

    def _suspend(self, end: int, reason: str) -> None:
        """End what is open, forget what was running, and wait for the next record."""
        state = self.state
        context = state.context
        context.events.close_all(float(end), reason)
        state.detectors = new_detectors()
        context.visits = [None, None]
        context.price_changes = [BestPriceChanges(), BestPriceChanges()]
        context.mid2 = 0
        context.next_timer = NEVER
        context.baselines.forget_recent()
        for levels in state.levels:
            levels.leave(float(end), None)
        state.is_asleep = True
        self._final_bars.extend(state.recent)
        state.recent = []
        self._dispatcher.refresh()

    def result(self) -> TickResult:
        """Say what is going on as of the last whole second folded; changes are told once."""
        state = self.state
        as_of = state.as_of
        windows = self.table.windows(as_of, SPANS)
        changed = state.context.events.take_changed()
        for event in changed:
            self._note_changed(event)
        analysis = TickResult(
            as_of=as_of,
            metrics={
                name: compute_metrics(window, state.context.tick_size.size)
                for name, window in zip(WINDOWS, windows, strict=True)
            },
            quality={name: self._quality(as_of, span) for name, span in WINDOWS.items()},
            last_sweep={
                name: self._sweep_since(as_of - span * SECOND_MS) for name, span in WINDOWS.items()
            },
            behaviors=compute_behaviors(state.context, state.detectors),
            changed=changed,
            forgotten=self._expired_events(as_of),
            levels=[
                levels.top() if is_changed else None
                for levels, is_changed in zip(state.levels, self._levels_changed, strict=True)
            ],
            sealed=self._final_bars,
            failures=self._dispatcher.failures,
        )
        self._final_bars, self._dispatcher.failures, self._levels_changed = [], {}, [False, False]
        return analysis

    def _note_changed(self, event: Event) -> None:
        state = self.state
        newest = state.last_sweep
        if event.type == "sweep" and (newest is None or event.opened_at >= newest.opened_at):
            state.last_sweep = replace(event)
        if (
            event.closed_at is not None
            and event.strength is not None
            and event.strength < MEDIAN_STRENGTH
        ):
            state.expiring_events.append(
                ExpiringEvent(event.closed_at + WEAK_MS, event.opened_at, event.id)
            )

    def _expired_events(self, as_of: int) -> list[tuple[float, str]]:
        state = self.state
        gone = [
            (weak.opened_at, weak.id) for weak in state.expiring_events if weak.expires_at <= as_of
        ]
        if gone:
            state.expiring_events = [
                weak for weak in state.expiring_events if weak.expires_at > as_of
            ]
        return gone

    def _sweep_since(self, start: int) -> Event | None:
        sweep = self.state.last_sweep
        return sweep if sweep is not None and sweep.opened_at > start else None

    def _quality(self, as_of: int, seconds: int) -> Quality:
        state = self.state
        start = as_of - seconds * SECOND_MS
        quality: Quality = build_quality(self.table.quality(as_of, seconds))
        gaps = [[gap.start, gap.end] for gap in state.gaps if gap.end > start]
        if gaps:
            quality["gaps"] = gaps
        if state.rebuilt_at:
            quality["rebuilt_at"] = state.rebuilt_at
        failed = sorted(name for name, second in state.failed.items() if second > start)
        if failed:
            quality["failed_detectors"] = failed
        return quality

    def replay_late_records(self, batch: Batch, stored: Mapping[int, int]) -> None:
        """Fold the records of the last 2 s again, late ones now in their places.

        Only bars change: events, levels and scales stay as the records in time made them.
        """
        state = self.state
        if (
            not state.checkpoints
            or not state.recent
            or state.recent[0].end != state.checkpoints[0].end + SECOND_MS
        ):
            return
        fold = state.checkpoints[0].builder.copy()
        faults = _by_second(batch.faults)
        known, state.recent = state.recent, []
        state.checkpoints = state.checkpoints[:1]
        waiting = iter(batch.records)
        record = next(waiting, None)
        for old in known:
            fold.begin(old.end)
            while record is not None and record.stamp <= old.end:
                if isinstance(record, Quote):
                    fold.add_quote(record)
                else:
                    fold.add_trade(record)
                record = next(waiting, None)
            self._replace_bar(fold, old, faults)
            self.state.recent[-1].stored = stored.get(old.end, 0)
        state.bar_builder = fold

    def _replace_bar(self, fold: BarBuilder, old: Bar, faults: Faults) -> None:
        new = fold.bar
        late = new.quote_count + new.trade_count - old.quote_count - old.trade_count
        already = (old.quality or {}).get("late", 0)
        for name in faults.pop(old.end, ()):
            fold.add_fault(name)
        if late + already > 0:
            new.quality = {**(new.quality or {}), "late": max(0, late) + already}
        fold.close()
        fold.copy_thresholds(new, old)
        self.table.add(new)
        self.state.recent.append(new)
        self.state.checkpoints.append(BuilderCheckpoint(new.end, fold.copy()))


def _by_second(faults: Iterable[tuple[float, str]]) -> Faults:
    found: Faults = {}
    for stamp, name in faults:
        found.setdefault(whole_second(stamp), []).append(name)
    return found
