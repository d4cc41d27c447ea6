"""Fold a ticker's records in event order, and compute the results at any whole second.

The engine reads no clock: time is passed in as `as_of`.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

from app.analysis.bars import SECOND_MS, Bar, FaultsBySecond, group_by_second, whole_second
from app.analysis.baselines import SecondSample
from app.analysis.behaviors import compute_behaviors
from app.analysis.detector_context import NEVER
from app.analysis.detectors import new_detectors
from app.analysis.dispatch import DetectorDispatcher
from app.analysis.gaps import Gap, left_of, newest
from app.analysis.late_records import MAX_LATE_MS
from app.analysis.metrics import Fields, compute_metrics
from app.analysis.outcomes import KEY_SEPARATOR
from app.analysis.patterns.events import Event
from app.analysis.price_fields import PriceWalk
from app.analysis.price_units import UNITS_PER_ONE
from app.analysis.record_parser import INEXACT_PRICE
from app.analysis.records import UNSIGNED, Batch, Quote, Record, Span, Trade
from app.analysis.rejections import newest_quote_stamp, newest_trade_stamp
from app.analysis.results import Quality, TickResult, add_counts, build_quality
from app.analysis.rolling_bars import RollingBars
from app.analysis.state import BuilderCheckpoint, ExpiringEvent, State, new_state
from app.analysis.touch import BestPriceChanges, Visit, is_better, resting_side
from app.analysis.trading_hours import UTC_DAYS, TradingHours
from app.analysis.widening import (
    MIN_REFUSED,
    asks_too_much,
    begin_unit_anew,
    can_be_finer,
    digits_of_record,
    record_in_unit,
    use_finer_unit,
)
from app.analysis.windows import WEAK_EVENT_SECONDS, WINDOW_SECONDS, WINDOWS

SLEEP_AFTER_SECONDS: Final = 300
MEDIAN_STRENGTH: Final = 0.5
WEAK_MS: Final = WEAK_EVENT_SECONDS * SECOND_MS
GAPS_KEPT_MS: Final = 7_800 * SECOND_MS
"""How long gaps are remembered: as long as the bars that they cut."""


class Engine:
    """One ticker's fold: its state, the table of its newest bars, and its detectors.

    `hours` are the sessions of the ticker's market.
    """

    def __init__(self, state: State, table: RollingBars, hours: TradingHours = UTC_DAYS) -> None:
        self.state = state
        self.table = table
        self.hours = hours
        if state.session.calendar != hours.name:
            state.session.ends_at = 0
        if state.quote_at:  # a state stored before it had a session
            state.session.see_first_quote(float(state.as_of))
        self._final_bars: list[Bar] = []
        self._levels_changed = [False, False]
        self._oddities: dict[str, int] = {}
        self._dispatcher = DetectorDispatcher(state)
        # The metrics as of the second that closed last, 0 where they are to be computed anew.
        self._metrics_second = 0
        self._metrics: dict[str, Fields] = {}
        # The second in which a finer unit was last refused, and its digits.
        self._refused_second, self._refused_digits = 0, 0
        if table.digits < state.digits:
            table.use_finer_unit(
                state.digits, PriceWalk(UNITS_PER_ONE[state.digits - table.digits])
            )
            table.first_quote = state.first_quote

    @classmethod
    def new(cls, ticker: str, hours: TradingHours = UTC_DAYS) -> "Engine":
        """Return the engine of a ticker without any records yet."""
        return cls(new_state(ticker), RollingBars(max(WINDOW_SECONDS), spans=WINDOW_SECONDS), hours)

    def advance(self, batch: Batch, as_of: int) -> TickResult:
        """Fold the records stamped after the last `as_of` up to this one, and return the result."""
        self.fold(batch, as_of)
        return self.result()

    def fold(  # noqa: C901 - hot path
        self, batch: Batch, as_of: int, stored: Mapping[int, int] | None = None
    ) -> None:
        """Fold records stamped after the last `as_of` and up to this one, in stream order.

        `as_of` is a whole second in ms. `stored` maps the end of a second to the number of members
        with scores in it that the broker's keys hold. Records that the ticker's price unit can't be
        made to hold are left out, and become rejected ones of the batch.
        """
        faults = group_by_second(batch.faults)
        counts = stored or {}
        state = self.state
        is_in_other_unit = batch.digits != state.digits
        not_held: list[Record] = []
        gaps = [*batch.gaps]
        gap_at = _next_stand(gaps)
        if batch.records and not is_in_other_unit:
            state.refused_in_a_row = 0
        for given in batch.records:
            record, stamp = given, given.stamp
            while stamp >= gap_at:
                self._pass_gap(gaps.pop(0), faults, counts)
                gap_at = _next_stand(gaps)
            if is_in_other_unit:
                self._close_ended_seconds(stamp, faults, counts)
                held = self._in_unit(record, batch.digits)
                if held is None:
                    faults.setdefault(whole_second(stamp), []).append(INEXACT_PRICE)
                    not_held.append(given)
                    continue
                record = held
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
        for gap in gaps:
            self._pass_gap(gap, faults, counts)
        self._close_seconds_through(as_of, faults, counts)
        self._follow_session(as_of)
        if not_held:
            batch.reject(not_held, INEXACT_PRICE)
        self._note_rejections(batch)
        self._count_outside_bars(faults)
        state.as_of = as_of

    def _count_outside_bars(self, faults: FaultsBySecond) -> None:
        """Count what belongs to no bar: there was no record yet, or the ticker is asleep."""
        for names in faults.values():
            for name in names:
                self._oddities[name] = self._oddities.get(name, 0) + 1

    def _note_rejections(self, batch: Batch) -> None:
        state = self.state
        if batch.rejected_quotes or state.rejected_quotes.count:
            newest = newest_quote_stamp(batch.records)
            state.rejected_quotes.add_newer(batch.rejected_quotes, newest)
        if batch.rejected_trades or state.rejected_trades.count:
            newest = newest_trade_stamp(batch.records)
            state.rejected_trades.add_newer(batch.rejected_trades, newest)

    def take_oddities(self) -> dict[str, int]:
        """Return the counts of oddities folded since the last call, by name."""
        oddities, self._oddities = self._oddities, {}
        return oddities

    def _close_seconds_before(
        self, stamp: float, faults: FaultsBySecond, stored: Mapping[int, int]
    ) -> None:
        """Close the seconds that end before a stamp, so that the current second contains it."""
        self._close_ended_seconds(stamp, faults, stored)
        if self.state.is_asleep or not self.state.bar_builder.end:
            self._add_silent_seconds(whole_second(stamp) - SECOND_MS, faults)
            self._resume(stamp)

    def _close_ended_seconds(
        self, stamp: float, faults: FaultsBySecond, stored: Mapping[int, int]
    ) -> None:
        state = self.state
        if stamp > state.bar_builder.end and state.bar_builder.end:
            end = whole_second(stamp)
            while state.bar_builder.end < end and not state.is_asleep:
                self._close_second(faults, stored)

    def _in_unit(self, record: Record, digits: int) -> Record | None:
        """Return a record, given in 10^-digits, in the ticker's unit; None if that can not be."""
        state = self.state
        held = self._held(record, digits)
        if held is not None:
            state.refused_in_a_row = 0
            return held
        state.refused_in_a_row += 1
        is_over = state.is_asleep and state.refused_in_a_row >= MIN_REFUSED
        if not is_over or asks_too_much(record, digits, digits_of_record(record, digits)):
            return None
        begin_unit_anew(state)
        self._final_bars += self.table.take_lost_bars()
        lost_to = self.table.lost_to
        self.table = RollingBars(max(WINDOW_SECONDS), spans=WINDOW_SECONDS)
        self.table.lost_to = lost_to
        self._levels_changed = [True, True]
        self._refused_second = 0
        return self._held(record, digits)

    def _held(self, record: Record, digits: int) -> Record | None:
        """Return a record in the ticker's unit, which may become finer for it.

        The unit becomes finer where the record asks for it and the ticker's prices allow it. To
        find that they don't takes as long as many records: once a second.
        """
        state = self.state
        needed = digits_of_record(record, digits)
        if needed > state.digits:
            second = whole_second(record.stamp)
            is_refused = (
                second == self._refused_second and needed >= self._refused_digits
            ) or asks_too_much(record, digits, needed)
            if is_refused:
                return None
            if not can_be_finer(state, needed):
                self._refused_second, self._refused_digits = second, needed
                return None
            use_finer_unit(state, self.table, needed)
        return record_in_unit(record, digits, state.digits)

    def _close_seconds_through(
        self, as_of: int, faults: FaultsBySecond, stored: Mapping[int, int]
    ) -> None:
        """Close the seconds up to `as_of`; without a usable record, add silent bars instead."""
        state = self.state
        while 0 < state.bar_builder.end <= as_of and not state.is_asleep:
            self._close_second(faults, stored)
        if state.is_asleep or not state.bar_builder.end:
            self._add_silent_seconds(as_of, faults)
        if state.is_asleep:
            self._update_levels(as_of)

    def _add_silent_seconds(self, end: int, faults: FaultsBySecond) -> None:
        """Add silent bars up to `end`, while no second is open; they count what was rejected."""
        for second in sorted(faults):
            if self.table.end < second <= end:
                quality: dict[str, int] = {}
                for name in faults.pop(second):
                    quality[name] = quality.get(name, 0) + 1
                add_counts(self._oddities, quality)
                bar = self.table.add_silent_second(second, quality)
                self._final_bars += self.table.take_lost_bars()
                self._final_bars.append(bar)
        self.table.fill_to(end)
        self._final_bars += self.table.take_lost_bars()

    def _resume(self, stamp: float) -> None:
        """Begin the first second, or the first after a sleep or a gap."""
        state = self.state
        end = whole_second(stamp)
        if not state.context.first_stamp:
            state.context.first_stamp = stamp
        state.context.events.observed.begin(stamp)
        state.bar_builder.begin(end)
        state.bar_builder.integrated_to = max(float(end - SECOND_MS), state.gap_end)
        state.is_asleep = False
        state.newest_second = end
        state.checkpoints = [BuilderCheckpoint(end - SECOND_MS, state.bar_builder.copy())]

    def _complete_stamp(self) -> None:
        """Report that all records of the newest trade's stamp are folded."""
        stamp, self.state.open_stamp = self.state.open_stamp, 0.0
        self._dispatcher.on_stamp_complete(stamp)

    def _fold_quote(self, quote: Quote) -> None:
        """Fold a quote into the bar and both sides' best prices."""
        state = self.state
        context = state.context
        state.bar_builder.add_quote(quote)
        context.standing_quote.add_quote(quote)
        if not context.second_totals.first_quote_at:
            context.second_totals.first_quote_at = quote.stamp
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
        """Apply a changed best price or size of one side; size 0 empties the side."""
        context = self.state.context
        visit = context.visits[side]
        if visit is not None and size > 0 and price == visit.price:
            self._resize_best(side, visit, size, stamp)
            visit.printed_since_quote = 0.0
            return
        new_price = price if size > 0 else None
        if visit is not None:
            if new_price is None or not is_better(side, new_price, visit.price):
                context.second_totals.add_removal(side, stamp, visit.size)
            self._dispatcher.on_leave(side, visit, stamp, new_price)
            self.state.levels[side].leave(stamp, new_price)
            context.visits[side] = None
        if new_price is not None:
            self._enter_best(side, new_price, size, stamp, visit)

    def _resize_best(self, side: int, visit: Visit, size: float, stamp: float) -> None:
        """Change the size at an unchanged best price."""
        context = self.state.context
        old_size, visit.size = visit.size, size
        if size < old_size:
            visit.decreased += old_size - size
            context.second_totals.add_removal(side, stamp, old_size - size)
        else:
            visit.increased += size - old_size
            context.second_totals.removed[side] -= size - old_size
        self.state.levels[side].resize(size, stamp)
        self._dispatcher.on_resize(side, visit, stamp, old_size)

    def _enter_best(
        self, side: int, price: int, size: float, stamp: float, departed: Visit | None
    ) -> None:
        """Make a price the best of its side, and measure its distance from the `departed` one."""
        context = self.state.context
        context.tick_size.add_price(price)
        visit = context.visits[side] = Visit(price, stamp, size, size)
        self.state.levels[side].enter(price, size, stamp)
        self._dispatcher.on_enter(side, visit)
        if departed is None:
            return
        changes, totals = context.price_changes[side], context.second_totals
        totals.changes += 1
        totals.reversals += changes.add_change(stamp, departed.price, price)
        jump = changes.jump(stamp, departed.price, price)
        totals.max_jump = max(totals.max_jump, jump)
        self._dispatcher.on_jump(side, visit, jump, departed)

    def _fold_trade(self, trade: Trade) -> None:
        """Fold a trade into the bar and the volume at the best price that it hit."""
        state = self.state
        context = state.context
        state.bar_builder.add_trade(trade)
        sign = context.standing_quote.sign_trade(trade)
        self._follow_session(trade.stamp)
        clock = context.baselines.clock
        state.session.add_trade(trade, sign.aggressor, context.units_per_one, clock)
        if self._dispatcher.no_trades_yet:
            context.trades_seen = True
            self._dispatcher.refresh()
        self._dispatcher.on_trade(trade, sign)
        state.open_stamp = trade.stamp
        if sign.aggressor == UNSIGNED:
            return
        side = resting_side(sign.aggressor)
        visit = context.visits[side]
        if visit is not None and visit.price == trade.price:
            visit.printed_given = sign.is_given and (
                visit.printed_given or not visit.printed_since_quote
            )
            visit.printed_since_quote += trade.size
            context.second_totals.traded[side] += trade.size
            context.second_totals.traded_given[side] &= sign.is_given

    def _close_second(self, faults: FaultsBySecond, stored: Mapping[int, int]) -> None:
        """Close the current second: bar, detectors, baselines, events and levels, in this order."""
        state = self.state
        context, builder = state.context, state.bar_builder
        end = builder.end
        if state.open_stamp:
            self._complete_stamp()
        if context.next_timer <= end:
            self._dispatcher.fire_timers(math.nextafter(end, NEVER))
        for name in faults.pop(end, ()):
            builder.add_fault(name)
        builder.bar.stored = stored.get(end, 0)
        depth_was_known = bool(builder.depth)
        bar = builder.close()
        if bar.quote_count or bar.trade_count:
            state.newest_second = end
        falls_asleep = end - state.newest_second >= SLEEP_AFTER_SECONDS * SECOND_MS
        context.second_sample = self._second_sample(bar, depth_was_known=depth_was_known)
        if not falls_asleep:
            context.baselines.add_recent_flows(context.second_sample)
            self._dispatcher.on_second(end)
            context.baselines.add_second(context.second_sample, context.tick_size.size)
        thresholds = context.thresholds
        builder.set_thresholds(
            bar,
            thresholds.large_size[0] or 0.0,
            thresholds.large_size[1] or 0.0,
            thresholds.depth or 0.0,
        )
        self._close_session_second(end, bar)
        context.events.close_due(end)
        context.second_sample = None
        context.second_totals.reset()
        self._update_levels(end)
        self._add_bar(bar)
        if falls_asleep:
            self._suspend(end, "silence")
        else:
            self._rank_second(end)

    def _rank_second(self, end: int) -> None:
        """Add the metrics of the windows that end at a closed second to the past of their ranks."""
        self._metrics_second, self._metrics = end, self._compute_metrics(end)
        self.state.ranks.close_second(self._metrics, end)

    def _compute_metrics(self, as_of: int) -> dict[str, Fields]:
        windows = self.table.windows(as_of, WINDOW_SECONDS)
        tick_size = self.state.context.tick_size.size
        return {
            name: compute_metrics(window, tick_size)
            for name, window in zip(WINDOWS, windows, strict=True)
        }

    def _take_metrics(self, as_of: int) -> dict[str, Fields]:
        """Return the metrics as of the last second folded; if it closed, they are known."""
        is_known = self._metrics_second == as_of
        metrics = self._metrics if is_known else self._compute_metrics(as_of)
        self._metrics_second, self._metrics = 0, {}
        return metrics

    def _follow_session(self, instant: float) -> None:
        """Enter the phase of the market's session that an instant lies in."""
        session = self.state.session
        if instant >= session.ends_at:
            session.follow(self.hours, instant, self.state.gap_end, self.state.digits)

    def _close_session_second(self, end: int, bar: Bar) -> None:
        """Add a second to the session and to what followed events; note its new events."""
        state = self.state
        context, outcomes = state.context, state.outcomes
        self._follow_session(end)
        if bar.first_quote is not None:
            state.session.see_first_quote(bar.first_quote.stamp)
        state.session.close_second(end, context.tick_size)
        outcomes.close_second(end, context.mid2, self.hours)
        for event in context.events.live.values():
            if event.noticed_at == end:
                outcomes.note_event(event.type + KEY_SEPARATOR + event.side, end // SECOND_MS)

    def _update_levels(self, end: int) -> None:
        for side, levels in enumerate(self.state.levels):
            self._levels_changed[side] |= levels.close_second(end)

    def _second_sample(self, bar: Bar, *, depth_was_known: bool) -> SecondSample:
        """Collect what the closing second adds to the baselines."""
        context = self.state.context
        totals, valid = context.second_totals, context.standing_quote.valid
        mid2 = 0 if valid is None else valid.bid_price + valid.ask_price
        previous_mid2, context.mid2 = context.mid2, mid2
        return SecondSample(
            quote=context.standing_quote.quote,
            spread=context.standing_quote.spread or None,
            mid2=mid2,
            mid_move=(mid2 - previous_mid2) / 2 if mid2 and previous_mid2 else None,
            signed_volume=float(bar.buy_volume - bar.sell_volume),
            log_ofi=float(bar.log_ofi) if depth_was_known else None,
            quote_count=bar.quote_count,
            trade_count=bar.trade_count,
            flicker_share=totals.reversals / totals.changes if totals.changes else None,
            jump=totals.max_jump,
            removals=[totals.net_removal(0), totals.net_removal(1)],
            trades_seen=context.trades_seen,
        )

    def _add_bar(self, bar: Bar) -> None:
        """Add a closed bar; bars older than `MAX_LATE_MS` become final."""
        state = self.state
        if bar.quality is not None:
            add_counts(self._oddities, bar.quality)
        self.table.add(bar)
        self._final_bars += self.table.take_lost_bars()
        state.first_quote = self.table.first_quote
        state.recent.append(bar)
        state.checkpoints.append(BuilderCheckpoint(bar.end, state.bar_builder.copy()))
        oldest = bar.end - MAX_LATE_MS
        while state.recent[0].end <= oldest:
            self._final_bars.append(state.recent.pop(0))
        while state.checkpoints[0].end < oldest:
            del state.checkpoints[0]

    def _pass_gap(self, span: Span, faults: FaultsBySecond, stored: Mapping[int, int]) -> None:
        """Pass a declared gap, before the records of the stamp where it ends.

        Open events close, and nothing after it is compared with anything before. The seconds before
        are closed: their bars are cut.
        """
        state = self.state
        builder, (start, stamp) = state.bar_builder, span
        if not builder.end:
            return
        if stamp > builder.end or state.is_asleep:
            self._close_seconds_before(stamp, faults, stored)
        if state.open_stamp and stamp > state.open_stamp:
            self._complete_stamp()
        if stamp > state.context.next_timer:
            self._dispatcher.fire_timers(stamp)
        parts = left_of(state.gaps, start, stamp)
        for begun, ended in parts or [(stamp, stamp)]:
            gap = Gap(begun, ended, stamp, whole_second(stamp) - SECOND_MS)
            gap.note_standing(builder.standing_quote, state.context.units_per_one)
            self._add_gap(gap)
            state.session.skip_gap(begun, ended)
        builder.pass_gap(parts)
        self._begin_anew(stamp, "gap")
        state.context.standing_quote.forget()
        state.context.second_totals.reset()
        state.context.events.observed.leave_out(parts[0][0] if parts else stamp, stamp)
        state.newest_second = builder.end

    def _add_gap(self, gap: Gap) -> None:
        """Remember a part of a gap, and cut the bars that were built as if there were none."""
        state = self.state
        state.gaps = [*newest(state.gaps, gap.end - GAPS_KEPT_MS), gap]
        self.table.cut(gap)

    def add_late_gap(self, start: float, end: float) -> bool:
        """Cut the bars by a gap that ends where records are folded already; nothing else changes.

        Returns whether there are bars.
        """
        state = self.state
        if not state.bar_builder.end:
            return False
        for begun, ended in left_of(state.gaps, start, min(end, float(state.as_of))):
            self._add_gap(Gap(begun, ended, cut_to=state.as_of))
        return True

    def skip_gap(self, to: float) -> None:
        """Skip a gap: all records from the last `as_of`, or the last gap, up to `to` are lost."""
        state = self.state
        start = max(float(state.as_of), state.gap_end)
        if not state.bar_builder.end or to <= start:
            return
        state.gaps = [*newest(state.gaps, to - GAPS_KEPT_MS), Gap(start, to)]
        state.session.skip_gap(start, to)
        if not state.is_asleep:
            self._suspend(state.as_of, "gap")
        self.table.lost_to = whole_second(to) - SECOND_MS
        state.gap_end = to

    def _suspend(self, end: int, reason: str) -> None:
        """Close all events, reset the detectors, and wait for the next record."""
        state = self.state
        self._begin_anew(float(end), reason)
        state.context.events.observed.end(float(end))
        state.is_asleep = True
        self._final_bars.extend(state.recent)
        state.recent = []

    def _begin_anew(self, at: float, reason: str) -> None:
        """Close all events, and reset what follows the market from record to record."""
        state = self.state
        context = state.context
        context.events.close_all(at, reason)
        state.detectors = new_detectors()
        context.visits = [None, None]
        context.price_changes = [BestPriceChanges(), BestPriceChanges()]
        context.mid2 = 0
        context.next_timer = NEVER
        context.baselines.clear_recent()
        state.outcomes.suspend()
        for levels in state.levels:
            levels.leave(at, None)
        self._dispatcher.refresh()

    def result(self) -> TickResult:
        """Return the result as of the last second folded; each change is in one result only."""
        state = self.state
        as_of = state.as_of
        metrics = self._take_metrics(as_of)
        past_seconds = (as_of - state.context.first_stamp) / SECOND_MS
        changed = state.context.events.take_changed()
        for event in changed:
            self._note_changed(event)
        result = TickResult(
            as_of=as_of,
            metrics=metrics,
            ranks=state.ranks.of_windows(as_of, past_seconds),
            quality={name: self._quality(as_of, span) for name, span in WINDOWS.items()},
            last_sweep={
                name: self._sweep_since(as_of - span * SECOND_MS) for name, span in WINDOWS.items()
            },
            behaviors=compute_behaviors(state.context, state.detectors),
            changed_events=changed,
            expired_events=self._expired_events(as_of),
            levels=[
                levels.top() if is_changed else None
                for levels, is_changed in zip(state.levels, self._levels_changed, strict=True)
            ],
            final_bars=self._final_bars,
            failed_detectors=self._dispatcher.failures,
        )
        self._final_bars, self._dispatcher.failures, self._levels_changed = [], {}, [False, False]
        return result

    def _note_changed(self, event: Event) -> None:
        """Remember the newest sweep, and when a closed weak event expires."""
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
        """Remove and return the weak events that expired: (opened_at, id)."""
        state = self.state
        expired = [
            (event.opened_at, event.id)
            for event in state.expiring_events
            if event.expires_at <= as_of
        ]
        if expired:
            state.expiring_events = [
                event for event in state.expiring_events if event.expires_at > as_of
            ]
        return expired

    def _sweep_since(self, start: int) -> Event | None:
        sweep = self.state.last_sweep
        return sweep if sweep is not None and sweep.opened_at > start else None

    def _quality(self, as_of: int, seconds: int) -> Quality:
        state = self.state
        start = as_of - seconds * SECOND_MS
        quality: Quality = build_quality(self.table.quality(as_of, seconds))
        gaps = [[gap.start, gap.end] for gap in state.gaps if gap.end > max(start, gap.start)]
        if gaps:
            quality["gaps"] = gaps
        if state.rebuilt_at:
            quality["rebuilt_at"] = state.rebuilt_at
        failed = sorted(name for name, second in state.failed.items() if second > start)
        if failed:
            quality["failed_detectors"] = failed
        return quality


def _next_stand(gaps: Sequence[Span]) -> float:
    """Return where the first gap stands in the stream."""
    return gaps[0][1] if gaps else NEVER
