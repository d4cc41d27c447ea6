"""Compare every sample of a plan with an undisturbed run over the same records."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from app.analysis.bars import whole_second
from app.analysis.engine import Engine
from app.analysis.outcomes import HORIZON_SECONDS
from app.analysis.record_parser import parse_batch
from app.analysis.records import Batch
from app.analysis.windows import WINDOWS
from app.core.clock import BELIEVED_AHEAD_INTERVALS
from app.storage.session_calendars import hours_of
from app.storage.tick import codec
from tests.faults.broker import Posting
from tests.faults.kinds import EXACT, LATE, LOST
from tests.faults.samples import Members, Sample

SECOND_MS = 1000
LATE_ENTERS_MS = 2000
BELIEVED_AHEAD_MS = BELIEVED_AHEAD_INTERVALS * SECOND_MS
RETENTION_MS = 3600 * SECOND_MS
UNSEEN_MS = 3 * SECOND_MS
"""How many ticks' time a sampler on a busy machine may not look."""
CORRECTED_AT = "clock_corrected_at"
NOW_ONLY = ("behind_seconds", "ahead", CORRECTED_AT)
SCALED = (
    b"quality",
    b"behaviors",
    b"last_sweep",
    b"log_ofi",
    b"large_",
    b"spread_ticks",
    b"rank",
    b"engine",
)
MOST_NAMED = 5


@dataclass(slots=True)
class Expected:
    """What an undisturbed run publishes as of one second."""

    windows: dict[str, dict[bytes, bytes]]
    patterns: Members
    levels: tuple[Members, Members]
    past: "ExpectedPast"


@dataclass(slots=True)
class ExpectedPast:
    """What an undisturbed run says of the session by second, and of outcomes by their `until`."""

    sessions: dict[bytes, dict[bytes, bytes]] = field(default_factory=dict)
    outcomes: dict[tuple[bytes, bytes], dict[bytes, bytes]] = field(default_factory=dict)

    def note(self, engine: Engine) -> None:
        """Note what an engine says now."""
        state = engine.state
        fields = dict(zip(*codec.session_texts(state), strict=True))
        self.sessions[str(state.as_of).encode()] = _texts(fields)
        totals = state.outcomes.totals
        for horizon, seconds in enumerate(HORIZON_SECONDS):
            key = f"until:{seconds}".encode(), str(totals.until[horizon]).encode()
            if totals.until[horizon] and key not in self.outcomes:
                self.outcomes[key] = _texts(codec.outcome_fields(totals, horizon))

    def of(self, sample: Sample) -> tuple[dict[bytes, bytes], dict[bytes, bytes]]:
        """Return the session as of when the sample's was written, and the outcomes likewise."""
        outcomes: dict[bytes, bytes] = {}
        for name, text in sample.outcomes.items():
            outcomes |= self.outcomes.get((name, text), {})
        return self.sessions.get(sample.session.get(b"as_of", b""), {}), outcomes


@dataclass(slots=True)
class Comparison:
    """How many comparisons were made, and what did not agree."""

    compared: int = 0
    misses: list[str] = field(default_factory=list)

    def miss(self, text: str) -> None:
        """Note what did not agree."""
        self.misses.append(text)


def stored_batch(postings: Sequence[Posting]) -> Batch:
    """Parse what the broker's keys hold as a tick does."""
    by_kind: dict[str, list[tuple[bytes, float]]] = {"quotes": [], "trades": []}
    for posting in sorted(postings, key=lambda p: (p.stamp, p.member)):
        by_kind[posting.key.split(":")[1]].append((posting.member, posting.stamp))
    return parse_batch(by_kind["quotes"], by_kind["trades"])


def undisturbed(ticker: str, postings: Sequence[Posting], wanted: set[int]) -> dict[int, Expected]:
    """Run the engine alone over all records, second by second."""
    batch = stored_batch(postings)
    engine = Engine.new(ticker, hours_of(ticker, ()))
    past = ExpectedPast()
    expected: dict[int, Expected] = {}
    patterns: dict[str, tuple[bytes, float]] = {}
    levels: list[Members] = [{}, {}]
    # A ticker begins with its first record, usable or not.
    start = whole_second(min([batch.records[0].stamp, *(stamp for stamp, _ in batch.faults)]))
    seconds = _by_second(batch)
    for as_of in range(start, max(wanted) + SECOND_MS, SECOND_MS):
        analysis = engine.advance(seconds.get(as_of, Batch([], [])), as_of)
        for event in analysis.changed_events:
            patterns[event.id] = codec.event_json(event).encode(), event.opened_at
        for _, name in analysis.expired_events:
            patterns.pop(name, None)
        for side, now in enumerate(analysis.levels):
            if now is not None:
                levels[side] = {codec.level_json(it).encode(): it.significance for it in now}
        past.note(engine)
        if as_of in wanted:
            windows = {name: _texts(codec.window_fields(analysis, name)) for name in WINDOWS}
            expected[as_of] = Expected(
                windows, dict(patterns.values()), (levels[0], levels[1]), past
            )
    return expected


def _by_second(batch: Batch) -> dict[int, Batch]:
    found: dict[int, Batch] = defaultdict(lambda: Batch([], []))
    for record in batch.records:
        found[whole_second(record.stamp)].records.append(record)
    for stamp, name in batch.faults:
        found[whole_second(stamp)].faults.append((stamp, name))
    return found


def _texts(fields: Mapping[str, str]) -> dict[bytes, bytes]:
    return {name.encode(): text.encode() for name, text in fields.items()}


def _lasting(fields: dict[bytes, bytes], left_out: Sequence[str]) -> dict[bytes, Any]:
    """Return fields with the quality read, without some of its counts."""
    quality = msgspec.json.decode(fields[b"quality"])
    kept = {name: count for name, count in quality.items() if name not in left_out}
    return {**fields, b"quality": kept}


def _numbers(fields: dict[bytes, bytes]) -> dict[bytes, bytes]:
    """Return the fields that no scale and no count of oddities decides."""
    return {name: text for name, text in fields.items() if not name.startswith(SCALED)}


def compare(
    kind: str, ticker: str, postings: Sequence[Posting], samples: Sequence[Sample]
) -> Comparison:
    """Compare a ticker's samples with an undisturbed run, as the plan's class demands."""
    comparison = Comparison()
    samples = _without_taken_back(samples, comparison)
    folded = [posting for posting in postings if not _is_only_counted(kind, posting)]
    expected = undisturbed(ticker, folded, {sample.as_of for sample in samples})
    as_of = 0
    for sample in samples:
        if sample.as_of < as_of:
            comparison.miss(f"{ticker}: as_of went back from {as_of} to {sample.as_of}")
        as_of = sample.as_of
    if kind == EXACT:
        counted = ("late",) if len(folded) < len(postings) else ()
        for sample in samples:
            _exact(sample, expected[sample.as_of], comparison, (*NOW_ONLY, *counted))
    elif kind == LATE:
        _late(folded, samples, expected, comparison)
    elif kind == LOST:
        late = _late_ones(folded, samples)
        left_out = _missed_until(folded, [posting for posting, is_lost in late if is_lost])
        _lost(samples, expected, comparison, [*left_out, *(posting.stamp for posting, _ in late)])
    return comparison


def _is_only_counted(kind: str, posting: Posting) -> bool:
    """Return whether a record was stamped so far behind that no tick may fold it.

    A state that is built anew folds all that the retention has kept.
    """
    return posting.clock_ms < (0.0 if kind != LOST else SECOND_MS - RETENTION_MS)


def _without_taken_back(samples: Sequence[Sample], comparison: Comparison) -> list[Sample]:
    """Return the samples without those of ticks ahead that a later tick took back, and says so.

    Decision 17 allows that once a correction, and of nothing but ticks over two intervals ahead of
    the clock: all others are compared, and `as_of` must not go back behind them.
    """
    kept: list[Sample] = []
    newest_mark = 0
    for sample in samples:
        mark = _corrected_at(sample)
        if mark > newest_mark:
            newest_mark = mark
            kept, were_ahead = _split_ahead(kept, sample)
            if not were_ahead:
                comparison.miss(f"{sample.ticker}: no tick was ahead of the correction at {mark}")
            if not sample.as_of - UNSEEN_MS <= mark <= sample.at_ms:
                comparison.miss(f"{sample.ticker}: {mark} is no time of a correction")
        kept.append(sample)
    return kept


def _corrected_at(sample: Sample) -> int:
    return int(str(sample.quality("10s").get(CORRECTED_AT, 0)))


def _split_ahead(before: Sequence[Sample], corrected: Sample) -> tuple[list[Sample], list[Sample]]:
    """Divide the samples before a correction into those that stand and those it may take back."""
    stand: list[Sample] = []
    were_ahead: list[Sample] = []
    for sample in before:
        is_ahead = sample.due_ms > max(sample.before_ms + BELIEVED_AHEAD_MS, corrected.due_ms)
        (were_ahead if is_ahead else stand).append(sample)
    return stand, were_ahead


def _exact(
    sample: Sample, expected: Expected, comparison: Comparison, left_out: Sequence[str]
) -> None:
    """Compare all that is published; `left_out` are counts of the quality."""
    for window in WINDOWS:
        comparison.compared += 1
        seen = _lasting(sample.windows[window], left_out)
        wanted = _lasting(expected.windows[window], left_out)
        for line in _differences(seen, wanted):
            comparison.miss(f"{sample.ticker} {sample.as_of} {window}: {line}")
    pairs: list[tuple[str, Mapping[bytes, Any], Mapping[bytes, Any]]] = []
    pairs += [("patterns", sample.patterns, expected.patterns)]
    pairs += [(s, sample.levels[n], expected.levels[n]) for n, s in enumerate(("bid", "ask"))]
    session, outcomes = expected.past.of(sample)
    pairs += [("session", sample.session, session), ("outcomes", sample.outcomes, outcomes)]
    for name, found, wanted in pairs:
        comparison.compared += 1
        for line in _differences(found, wanted):
            comparison.miss(f"{sample.ticker} {sample.as_of} {name}: {line}")


def _differences(seen: Mapping[bytes, Any], expected: Mapping[bytes, Any]) -> Iterator[str]:
    for name in sorted(seen.keys() | expected.keys()):
        if seen.get(name) != expected.get(name):
            yield f"{name.decode()}: {seen.get(name)!r}, undisturbed {expected.get(name)!r}"


def _first_seen(samples: Sequence[Sample]) -> dict[int, Sample]:
    """Return the first sample of each tick."""
    firsts: dict[int, Sample] = {}
    for sample in samples:
        firsts.setdefault(sample.as_of, sample)
    return firsts


def _late_ones(
    postings: Sequence[Posting], samples: Sequence[Sample]
) -> list[tuple[Posting, bool]]:
    """Return the records that a tick may have passed, and whether by over 2 s."""
    found = []
    firsts = _first_seen(samples)
    for posting in postings:
        newest = max(
            (a for a, s in firsts.items() if s.before_ms - SECOND_MS / 2 < posting.written_ms),
            default=0,
        )
        if posting.stamp <= newest:
            found.append((posting, posting.stamp <= newest - LATE_ENTERS_MS + SECOND_MS))
    first_as_of = min(firsts)
    return [(p, is_lost) for p, is_lost in found if p.stamp > first_as_of]


def _late(
    postings: Sequence[Posting],
    samples: Sequence[Sample],
    expected: dict[int, Expected],
    comparison: Comparison,
) -> None:
    late = _late_ones(postings, samples)
    settled_ms = max((p.written_ms for p, _ in late), default=0.0) + LATE_ENTERS_MS
    is_shown_late = any("late" in sample.quality("5min") for sample in samples)
    passed = _missed_until(postings, [p for p, is_lost in late if is_lost and is_shown_late])
    firsts = _first_seen(samples)
    for sample in samples:
        # A tick that ran ahead of the clock stays for seconds, and can't know what came meanwhile.
        if firsts[sample.as_of].before_ms > settled_ms:
            _windows_without(sample, expected[sample.as_of], passed, comparison)


def _missed_until(postings: Sequence[Posting], lost: Sequence[Posting]) -> list[float]:
    """Return until when records that changed no number are missed.

    A print counts at its own time. A quote would have stood until the next one; without one it is
    missed for ever.
    """
    gone = {id(posting) for posting in lost}
    found = []
    for posting in lost:
        if ":trades:" in posting.key:
            found.append(posting.stamp)
            continue
        later = (
            p.stamp
            for p in postings
            if p.key == posting.key and p.stamp > posting.stamp and id(p) not in gone
        )
        found.append(min(later, default=float("inf")))
    return found


def _windows_without(
    sample: Sample, expected: Expected, passed: Sequence[float], comparison: Comparison
) -> None:
    """Compare the windows that no passed record lies in."""
    for window, seconds in WINDOWS.items():
        start = sample.as_of - seconds * SECOND_MS
        if passed and max(passed) > start - SECOND_MS:
            continue
        comparison.compared += 1
        pair = _numbers(sample.windows[window]), _numbers(expected.windows[window])
        for line in _differences(*pair):
            comparison.miss(f"{sample.ticker} {sample.as_of} {window}: {line}")


def _lost(
    samples: Sequence[Sample],
    expected: dict[int, Expected],
    comparison: Comparison,
    passed_until: Sequence[float],
) -> None:
    rebuilt = [s for s in samples if "rebuilt_at" in s.quality("10s")]
    if not rebuilt:
        comparison.miss(f"{samples[0].ticker}: rebuilt_at is never shown")
        return
    if rebuilt[-1] is not samples[-1]:
        comparison.miss(f"{samples[0].ticker}: rebuilt_at is no longer shown")
    at = max(int(str(s.quality("10s")["rebuilt_at"])) for s in rebuilt)
    passed = [float(at), *passed_until]
    for sample in rebuilt:
        if sample.as_of > at:
            _windows_without(sample, expected[sample.as_of], passed, comparison)
