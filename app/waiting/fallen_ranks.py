"""Find which ranks ceased to meet their conditions between two waits, the second `since` the first.

Ranks of past seconds are not kept. The first wait keeps the past values that its ranks are among;
the second adds the values of the seconds since then, as ticks did, and ranks each.
"""

from collections.abc import Iterator, Mapping, Sequence

from app.analysis.bars import SECOND_MS
from app.analysis.metric_table import RANKED
from app.analysis.metrics import compute_metrics
from app.analysis.ranks import MIN_PAST_SECONDS, Ranks, unpack_ranks
from app.analysis.windows import WINDOWS
from app.answers.reader import Reader
from app.waiting.condition import Condition, RankCondition
from app.waiting.watch import TickerCursor

MAX_SECONDS = 300
"""If more went by, a rank that meets its condition is taken to have met it all along."""
_PLACES = {name: place for place, name in enumerate(WINDOWS)}

Cursors = Mapping[str, TickerCursor]


def with_pasts(reader: Reader, condition: Condition, cursors: Cursors) -> dict[str, TickerCursor]:
    """Return cursors with the pasts of the ranks that met a condition.

    Raises `StoreUnavailable`.
    """
    found = dict(cursors)
    for ticker, cursor, met in _with_met(condition, cursors):
        stored = reader.stored_ranks(ticker)
        packed = b"" if stored is None else _past_of(met, stored.ranks).packed()
        found[ticker] = cursor._replace(past=packed)
    return found


def without_fallen(
    reader: Reader, condition: Condition, cursors: Cursors
) -> dict[str, TickerCursor]:
    """Return cursors without the conditions on ranks that did not hold at a second since then.

    If such a rank meets its condition again, that is new. Raises `StoreUnavailable`.
    """
    found = dict(cursors)
    for ticker, cursor, met in _with_met(condition, cursors):
        fallen = {
            str(one)
            for shares in _ranks_since(reader, ticker, met, cursor)
            for one in met
            if one.metric in shares[one.window] and not one.holds(shares[one.window][one.metric])
        }
        found[ticker] = cursor._replace(met=(cursor.met or frozenset()) - fallen)
    return found


def _with_met(
    condition: Condition, cursors: Cursors
) -> Iterator[tuple[str, TickerCursor, Sequence[RankCondition]]]:
    for ticker, cursor in cursors.items():
        met = [one for one in condition.ranks if str(one) in (cursor.met or ())]
        if met:
            yield ticker, cursor, met


def _past_of(met: Sequence[RankCondition], ranks: Ranks) -> Ranks:
    """Return the past of only some metrics and windows."""
    kept = Ranks()
    for one in met:
        window, whole = (it.windows[_PLACES[one.window]] for it in (kept, ranks))
        window.weight, window.waiting_second = whole.weight, whole.waiting_second
        place = RANKED.index(one.metric)
        window.histograms[place] = whole.histograms[place]
    return kept


def _ranks_since(
    reader: Reader, ticker: str, met: Sequence[RankCondition], cursor: TickerCursor
) -> Iterator[Mapping[str, Mapping[str, float]]]:
    """Yield the ranks of each second behind a cursor, by window and metric; none if not known."""
    past = _unpacked(cursor.past)
    stored = None if past is None else reader.stored_ranks(ticker)
    if past is None or stored is None:
        return
    as_of_ms = stored.as_of_ms
    windows = {one.window: past.windows[_PLACES[one.window]] for one in met}
    # 0 where the windows of the second in which the past was stored were not covered.
    since_ms = min(window.waiting_second for window in windows.values())
    if not 0 < since_ms <= as_of_ms or as_of_ms - cursor.until_ms > MAX_SECONDS * SECOND_MS:
        return
    spans = tuple(WINDOWS[name] for name in windows)
    seconds = (as_of_ms - since_ms) // SECOND_MS
    table = reader.table(ticker, as_of_ms, seconds + max(spans))
    for end in range(since_ms + SECOND_MS, as_of_ms + 1, SECOND_MS):
        sums = table.bars.windows(end, spans)
        for past_of_window, summed in zip(windows.values(), sums, strict=True):
            past_of_window.close_second(compute_metrics(summed, table.tick_size), end)
        if end > cursor.until_ms:
            yield {name: it.ranks(end, MIN_PAST_SECONDS).shares for name, it in windows.items()}


def _unpacked(past: bytes) -> Ranks | None:
    """Return the past of a cursor; None without one, or of another version of the definitions."""
    try:
        return unpack_ranks(past) if past else None
    except ValueError:
        return None
