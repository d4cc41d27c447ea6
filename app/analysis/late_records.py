"""Late records: fold the last seconds again with the records that came behind what was folded.

A record up to `MAX_LATE_MS` late enters the bars, and so the windows, from the next tick on; it
changes no event, baseline or level. What is even later is only counted, as `late`
(`app/storage/tick/fold.py`).
"""

from collections.abc import Mapping
from typing import Final

from app.analysis.bars import SECOND_MS, Bar, BarBuilder, FaultsBySecond, group_by_second
from app.analysis.gaps import stands_after
from app.analysis.record_parser import INEXACT_PRICE
from app.analysis.records import Batch, Quote, Record, Span
from app.analysis.rejections import newest_quote_stamp, newest_trade_stamp
from app.analysis.rolling_bars import RollingBars
from app.analysis.state import BuilderCheckpoint, State
from app.analysis.widening import record_in_unit

MAX_LATE_MS: Final = 2000


def replay_late_records(
    state: State, table: RollingBars, batch: Batch, stored: Mapping[int, int]
) -> dict[str, int] | None:
    """Fold the records of the last 2 s again, now with the late ones among them.

    `stored` counts, by the end of their second, the members that the broker's keys hold. Only bars
    change: events, levels and baselines keep what the records that came in time gave. Returns by
    how much the bars' counts of oddities grew; None if no bars are kept that could change.
    """
    if (
        not state.checkpoints
        or not state.recent
        or state.recent[0].end != state.checkpoints[0].end + SECOND_MS
    ):
        return None
    builder = state.checkpoints[0].builder.copy()
    in_unit = _in_unit(batch, state.digits)
    faults = group_by_second(batch.faults)
    old_bars, state.recent = state.recent, []
    state.checkpoints = state.checkpoints[:1]
    grown: dict[str, int] = {}
    # What is stamped before the ticker's first second, or before it woke, belongs to no bar.
    records = iter([it for it in in_unit if it.stamp > state.checkpoints[0].end])
    record = next(records, None)
    stands = stands_after(state.gaps, state.checkpoints[0].end)
    for old_bar in old_bars:
        builder.begin(old_bar.end)
        while record is not None and record.stamp <= old_bar.end:
            _pass_gaps(builder, stands, record.stamp)
            if isinstance(record, Quote):
                builder.add_quote(record)
            else:
                builder.add_trade(record)
            record = next(records, None)
        _pass_gaps(builder, stands, old_bar.end)
        new_bar = _close_again(builder, old_bar, faults)
        new_bar.stored = stored.get(old_bar.end, 0)
        _add_growth(grown, old_bar.quality or {}, new_bar.quality or {})
        table.add(new_bar)
        state.recent.append(new_bar)
        state.checkpoints.append(BuilderCheckpoint(new_bar.end, builder.copy()))
    state.bar_builder = builder
    state.rejected_quotes.add_late(batch.rejected_quotes, newest_quote_stamp(batch.records))
    state.rejected_trades.add_late(batch.rejected_trades, newest_trade_stamp(batch.records))
    return grown


def _pass_gaps(builder: BarBuilder, stands: list[tuple[float, list[Span]]], until: float) -> None:
    """Pass the gaps that stand up to an instant, before the records of that stamp."""
    while stands and stands[0][0] <= until:
        _, parts = stands.pop(0)
        builder.pass_gap([(start, end) for start, end in parts if start < end])


def _add_growth(grown: dict[str, int], old: Mapping[str, int], new: Mapping[str, int]) -> None:
    for name, count in new.items():
        growth = count - old.get(name, 0)
        if growth > 0:
            grown[name] = grown.get(name, 0) + growth


def _in_unit(batch: Batch, digits: int) -> list[Record]:
    """Return the records in the ticker's price unit; late ones can't make it finer.

    Those that it can't hold are left out, and become rejected ones of the batch.
    """
    if batch.digits == digits:
        return batch.records
    records: list[Record] = []
    not_held: list[Record] = []
    for record in batch.records:
        held = record_in_unit(record, batch.digits, digits)
        if held is None:
            not_held.append(record)
        else:
            records.append(held)
    if not_held:
        batch.reject(not_held, INEXACT_PRICE)
    return records


def _close_again(builder: BarBuilder, old_bar: Bar, faults: FaultsBySecond) -> Bar:
    """Close a second that was folded again; count the records that were not in its old bar."""
    new_bar = builder.bar
    late = new_bar.quote_count + new_bar.trade_count - old_bar.quote_count - old_bar.trade_count
    earlier_late = (old_bar.quality or {}).get("late", 0)
    for name in faults.pop(old_bar.end, ()):
        builder.add_fault(name)
    if late + earlier_late > 0:
        new_bar.quality = {**(new_bar.quality or {}), "late": max(0, late) + earlier_late}
    builder.close()
    builder.copy_thresholds(new_bar, old_bar)
    return new_bar
