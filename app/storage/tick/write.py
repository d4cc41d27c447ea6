"""Build the commands of the one transaction that a tick writes.

Plain commands rather than a script: Redis would first convert a script's arguments to Lua strings,
which costs more than the commands themselves (260 against 96 µs a tick).
"""

import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from app.analysis.bars import SECOND_MS, Bar
from app.analysis.levels import PublishedLevel
from app.analysis.metrics import Value
from app.analysis.patterns.events import Event
from app.analysis.price_units import DEFAULT_DIGITS
from app.analysis.rejections import Rejections
from app.analysis.results import TickResult
from app.analysis.state import State
from app.analysis.windows import WINDOWS
from app.storage import keys
from app.storage.scripts import TRIM_RECORDS, UPDATE_EVENTS
from app.storage.tick import codec
from app.storage.tick.journal import Journal
from app.storage.tick.read import TickRead
from app.storage.tick.resp import Command, FieldNames, command, field_names, flat, hset, pack_words

HOUSEKEEPING_SECONDS = 10
SESSION_SECONDS = 5
OUTCOMES_FIELD = "outcomes"
# Removing a million records would block Redis for two seconds.
MAX_TRIMMED = 100_000
_RENEWED_EACH_TICK_SECONDS = 60
CANDIDATES_PREFIX, LEVELS_PREFIX, PAST_EVENTS_PREFIX = "c:", "l:", "p:"
_MULTI, _EXEC = command("MULTI"), command("EXEC")
_NO_NAMES = field_names(())


@dataclass(slots=True)
class PublishedKeys:
    """What a ticker's keys contain, as last written by this worker.

    `as_of`, `field_names` and `values` are by window, `levels` by side, None where unknown;
    `recent` are the bars of the last 2 s with their packed bytes; `tick_size` is 0 where unknown,
    `digits` are those of the price unit; `has_rejected`: the state tells of rejected records.
    `session_turn` and `session_phase` tell when the session was written, `outcomes_until` what of
    the outcomes was.
    """

    as_of: list[int] = field(default_factory=lambda: [0] * len(WINDOWS))
    field_names: list[FieldNames] = field(default_factory=lambda: [_NO_NAMES] * len(WINDOWS))
    values: list[list[Value]] = field(default_factory=lambda: [[] for _ in WINDOWS])
    levels: list[list[PublishedLevel] | None] = field(default_factory=lambda: [None, None])
    recent: list[tuple[Bar, bytes]] = field(default_factory=list)
    tick_size: int = 0
    digits: int = DEFAULT_DIGITS
    has_rejected: bool = False
    session_turn: int = -1
    session_phase: tuple[str, int] = ("", 0)
    session_names: FieldNames = field(default_factory=lambda: _NO_NAMES)
    outcomes_until: list[int] | None = None

    def pack_bars(self, bars: Sequence[Bar]) -> list[bytes]:
        """Return bars packed; a bar is written up to three times, and packed once."""
        known = {id(bar): packed for bar, packed in self.recent}
        return [known.get(id(bar)) or codec.encode_bar(bar) for bar in bars]


class RecordLimits(NamedTuple):
    """How many of the broker's records are kept: by age, and by number in each key."""

    retention_seconds: int
    max_records: int


class TickWrite:
    """Builds the commands that write one tick's result to the keys named by `Keys.of_tick`.

    `housekeeping_as_of` is set in a tick with housekeeping, which trims events and bars as of then:
    what a clock ahead trimmed would be lost.
    """

    def __init__(
        self,
        names: Sequence[str],
        limits: RecordLimits,
        reading: TickRead,
        channels: str,
        housekeeping_as_of: int | None,
    ) -> None:
        self._state, self._quotes, self._trades, self._bars, self._patterns = names[:5]
        self._levels, self._metrics = names[5:7], names[-len(WINDOWS) :]
        self._session, self._outcomes, self._ended, self._gaps = names[7:11]
        self._limits, self._reading, self._channels = limits, reading, channels
        self._is_housekeeping = housekeeping_as_of is not None
        self._housekeeping_as_of = housekeeping_as_of or 0

    def commands(
        self,
        state: State,
        result: TickResult,
        published: PublishedKeys,
        version: str,
        journal: Journal | None,
    ) -> list[Command]:
        """Return all commands; `published` is updated to what the keys contain after them.

        Without a journal, at least every ten seconds, the state is stored whole and long lifetimes
        are renewed. Before the first usable record there are no metrics.
        """
        as_of = result.as_of
        packed_final, packed_recent = (
            published.pack_bars(result.final_bars),
            published.pack_bars(state.recent),
        )
        published.recent = [*zip(state.recent, packed_recent, strict=True)]
        return [
            _MULTI,
            *(
                self._metrics_commands(result, published, renews_lifetimes=journal is None)
                if state.has_records
                else ()
            ),
            *self._event_commands(state, result, renews_lifetimes=journal is None),
            *self._level_commands(state, result, published),
            *self._session_commands(state, published),
            *self._ended_session_commands(state, published),
            *self._outcome_commands(state, published),
            *self._bar_commands(result, packed_final),
            *self._state_commands(state, published, packed_recent, version, journal),
            *self._trim_commands(as_of),
            command("PUBLISH", self._channels + state.ticker, as_of),
            _EXEC,
        ]

    def _metrics_commands(
        self, result: TickResult, published: PublishedKeys, *, renews_lifetimes: bool
    ) -> Iterator[Command]:
        behaviors = codec.json_text(result.behaviors)
        lifetimes = keys.METRICS_LIFETIME_SECONDS.items()
        for index, (window, lifetime) in enumerate(lifetimes):
            # A state that is rebuilt piece by piece starts in the past: the published metrics stay
            # until it has caught up, since a published as_of never decreases.
            if published.as_of[index] > result.as_of:
                continue
            key, names = self._metrics[index], published.field_names[index]
            found = codec.window_values(result, window, behaviors)
            fields, values = found.names, found.values
            # The whole hash is replaced. If it has exactly these fields, setting those that changed
            # is enough: about half of them.
            is_new = self._reading.metrics_lengths[index] != len(fields) or names.fields != fields
            if is_new:
                names = field_names(fields)
                yield command("DEL", key)
            is_whole = is_new or renews_lifetimes  # repairs changes of the key by others
            places = (
                [*range(len(values))]
                if is_whole
                else codec.changed_places(values, published.values[index])
            )
            if places:
                yield hset(key, names, codec.texts_at(found, places), places)
            published.values[index] = values
            if is_new or renews_lifetimes or lifetime <= _RENEWED_EACH_TICK_SECONDS:
                yield command("EXPIRE", key, lifetime)
            published.as_of[index], published.field_names[index] = result.as_of, names

    def _event_commands(
        self, state: State, result: TickResult, *, renews_lifetimes: bool
    ) -> Iterator[Command]:
        live = state.context.events.live.values()
        as_of = self._housekeeping_as_of or result.as_of
        oldest = as_of - keys.PATTERNS_LIFETIME_SECONDS * SECOND_MS
        # At housekeeping all open events: this repairs changes of the key by others.
        events = [*result.changed_events, *live] if self._is_housekeeping else result.changed_events
        arguments = [argument for event in events for argument in _event_arguments(event)]
        for opened_at, name in result.expired_events:
            arguments += (repr(opened_at), f'{{"id":"{name}"', "")
        if self._is_housekeeping:
            yield "ZREMRANGEBYSCORE", self._patterns, "-inf", oldest
        if arguments:
            yield "EVAL", UPDATE_EVENTS, 1, self._patterns, *arguments
        if arguments or self._is_housekeeping:
            yield command("EXPIRE", self._patterns, keys.PATTERNS_LIFETIME_SECONDS)
        if result.changed_events or renews_lifetimes:
            lines = "\n".join([codec.event_json(event) for event in live])
            yield command("HSET", self._state, keys.OPEN_EVENTS, lines)

    def _level_commands(
        self, state: State, result: TickResult, published: PublishedKeys
    ) -> Iterator[Command]:
        for side, key in enumerate(self._levels):
            current, previous = result.levels[side], published.levels[side]
            if self._is_housekeeping:
                # All levels, likewise.
                current, previous = state.levels[side].top(), None
            if current is not None:
                yield from _level_changes(key, previous, current)
                published.levels[side] = current

    def _session_commands(self, state: State, published: PublishedKeys) -> Iterator[Command]:
        """Yield what writes the session, every few seconds and with each new phase."""
        session = state.session
        turn = session_turn(state.ticker, state.as_of)
        phase = (session.phase, session.opened_at)
        is_due = turn != published.session_turn or phase != published.session_phase
        if not is_due or published.as_of[0] > state.as_of or not state.has_records:
            return
        fields, texts = codec.session_texts(state)
        names = published.session_names
        is_new = names.fields != fields
        if is_new:
            names = field_names(fields)
            yield command("DEL", self._session)
        yield hset(self._session, names, texts)
        if is_new or self._is_housekeeping:
            yield command("EXPIRE", self._session, keys.SESSION_LIFETIME_SECONDS)
        published.session_turn, published.session_phase = turn, phase
        published.session_names = names

    def _ended_session_commands(self, state: State, published: PublishedKeys) -> Iterator[Command]:
        """Yield what writes the session that ended in this tick: the next one takes its key."""
        ended, state.session.ended = state.session.ended, None
        if ended is None or published.as_of[0] > state.as_of:
            return
        names, texts = codec.texts_of_session(ended)
        yield command("DEL", self._ended)
        yield hset(self._ended, field_names(names), texts)
        yield command("EXPIRE", self._ended, keys.ENDED_LIFETIME_SECONDS)

    def _outcome_commands(self, state: State, published: PublishedKeys) -> Iterator[Command]:
        """Yield what writes the outcomes of the horizons that changed since they were written."""
        totals, written = state.outcomes.totals, published.outcomes_until
        if not self._is_housekeeping or written == totals.until or not state.has_records:
            return
        fields: dict[str, str] = {}
        for horizon, until in enumerate(totals.until):
            if until and (written is None or written[horizon] != until):
                fields |= codec.outcome_fields(totals, horizon)
        if written is None:
            yield command("DEL", self._outcomes)
        if fields:
            yield "HSET", self._outcomes, *flat(fields)
            yield command("EXPIRE", self._outcomes, keys.OUTCOMES_LIFETIME_SECONDS)
        published.outcomes_until = list(totals.until)

    def _bar_commands(self, result: TickResult, packed_final: Sequence[bytes]) -> Iterator[Command]:
        for bar, packed in zip(result.final_bars, packed_final, strict=True):
            yield command("XADD", self._bars, f"{bar.end}-0", "b", packed)
        if packed_final:
            yield command("EXPIRE", self._bars, keys.BARS_LIFETIME_SECONDS)
        if self._is_housekeeping:
            oldest = self._housekeeping_as_of - keys.BARS_LIFETIME_SECONDS * SECOND_MS
            yield "XTRIM", self._bars, "MINID", "~", oldest

    def _state_commands(
        self,
        state: State,
        published: PublishedKeys,
        packed_recent: Sequence[bytes],
        version: str,
        journal: Journal | None,
    ) -> Iterator[Command]:
        reading = self._reading
        fields: dict[str, Any] = {
            "version": version,
            "as_of": state.as_of,
            "behind": reading.folded_count,
            "recent": codec.join_bars(packed_recent),
            "recent_count": sum([bar.stored for bar in state.recent]),
            "journal": codec.encode_journal(journal) if journal is not None else b"",
        }
        obsolete_fields: list[str] = [] if reading.gap_end is None else ["lost_to"]
        if journal is None:
            _add_whole_state(fields, obsolete_fields, state, changed_only=bool(reading.version))
        _add_price_unit(fields, obsolete_fields, state, published, is_whole=journal is None)
        _add_newest_records(fields, obsolete_fields, state, published, is_whole=journal is None)
        if obsolete_fields:
            yield "HDEL", self._state, *obsolete_fields
        yield pack_words(["HSET", self._state, *flat(fields)])
        if journal is None:
            yield command("EXPIRE", self._state, keys.STATE_LIFETIME_SECONDS)

    def _trim_commands(self, as_of: int) -> Iterator[Command]:
        if self._is_housekeeping:
            newest = self._metrics[0]
            kept = [self._quotes, self._trades, *([self._gaps] if self._reading.gap_count else ())]
            keys_to_trim = [name for key in kept for name in (self._state, newest, key)]
            retention_ms = self._limits.retention_seconds * SECOND_MS
            limits = as_of, retention_ms, self._limits.max_records, MAX_TRIMMED
            yield "EVAL", TRIM_RECORDS, len(keys_to_trim), *keys_to_trim, *limits, "tick"


def _add_whole_state(
    fields: dict[str, Any], obsolete_fields: list[str], state: State, *, changed_only: bool
) -> None:
    """Add the fields that hold a state whole, and name those of levels that are gone."""
    packed = codec.encode_state(state, changed_only=changed_only)
    obsolete_fields += [LEVELS_PREFIX + name for name in packed.gone]
    fields["engine"], fields["blob"] = codec.STATE_VERSION, packed.blob
    fields[keys.RANK_PAST] = packed.ranks
    if state.gaps:
        fields[keys.GAPS] = codec.encode_gaps(state.gaps)
    else:
        obsolete_fields.append(keys.GAPS)
    for kind, packed_value in packed.candidates.items():
        fields[CANDIDATES_PREFIX + kind] = packed_value
    for kind, packed_value in packed.past_events.items():
        fields[PAST_EVENTS_PREFIX + kind] = packed_value
    for name, packed_value in packed.levels.items():
        fields[LEVELS_PREFIX + name] = packed_value
    if packed.outcomes:
        fields[OUTCOMES_FIELD] = packed.outcomes


def _add_price_unit(
    fields: dict[str, Any],
    obsolete_fields: list[str],
    state: State,
    published: PublishedKeys,
    *,
    is_whole: bool,
) -> None:
    """Add the price tick and its unit where they changed, or the state is stored whole."""
    if state.digits != DEFAULT_DIGITS and (is_whole or state.digits != published.digits):
        fields[keys.PRICE_DIGITS] = published.digits = state.digits
    tick_size = state.context.tick_size.size
    if is_whole or tick_size != published.tick_size:
        if tick_size:
            fields[keys.TICK_SIZE] = tick_size
        else:
            obsolete_fields.append(keys.TICK_SIZE)
        published.tick_size = tick_size


def _add_newest_records(
    fields: dict[str, Any],
    obsolete_fields: list[str],
    state: State,
    published: PublishedKeys,
    *,
    is_whole: bool,
) -> None:
    """Add the stamp of the standing quote, and which newer records were rejected."""
    quote_at = state.quote_at
    if quote_at:
        fields[keys.QUOTE_AT] = quote_at
    has_rejected = state.has_rejections
    if has_rejected:
        fields[keys.REJECTED] = codec.json_text(_rejected(state))
    elif is_whole or published.has_rejected:
        obsolete_fields.append(keys.REJECTED)
    published.has_rejected = has_rejected


def _rejected(state: State) -> dict[str, object]:
    """Return, by kind, what was rejected since the newest usable record of the kind."""
    kinds = {"quotes": state.rejected_quotes, "trades": state.rejected_trades}
    return {kind: _published(rejected) for kind, rejected in kinds.items() if rejected.count}


def _published(rejected: Rejections) -> dict[str, object]:
    return {"since": rejected.since, "count": rejected.count, "reasons": rejected.reasons}


def session_turn(ticker: str, as_of: int) -> int:
    """Return a number that changes when a session is to be written again: every few seconds."""
    return (as_of // SECOND_MS + zlib.crc32(ticker.encode())) // SESSION_SECONDS


def is_housekeeping_turn(ticker: str, as_of: int, interval_seconds: int) -> bool:
    """Return whether a ticker's housekeeping is due: every ten seconds, spread over the tickers."""
    turns = max(1, HOUSEKEEPING_SECONDS // interval_seconds)
    tick_number = as_of // (SECOND_MS * interval_seconds)
    return (tick_number + zlib.crc32(ticker.encode())) % turns == 0


def _event_arguments(event: Event) -> tuple[str, str, str]:
    """Return an event's three arguments of the script `UPDATE_EVENTS`."""
    return repr(event.opened_at), f'{{"id":"{event.id}"', codec.event_json(event)


def _level_changes(
    key: str, previous: list[PublishedLevel] | None, current: list[PublishedLevel]
) -> Iterator[Command]:
    """Yield the commands that change one side's levels; all levels if the previous are unknown.

    A tick changes one or two of forty levels; writing all would double the cost of a write for both
    sides. An unchanged level is the same object as before, so comparing ids is enough.
    """
    if previous is None:
        yield command("DEL", key)
    known = previous or []
    known_ids = {id(level) for level in known}
    current_ids = {id(level) for level in current}
    removed = [codec.level_member(level) for level in known if id(level) not in current_ids]
    added = [level for level in current if id(level) not in known_ids]
    if removed:
        yield pack_words(["ZREM", key, *removed])
    if added:
        words: list[object] = ["ZADD", key]
        for level, score in zip(added, codec.significance_texts(added), strict=True):
            words += (score, codec.level_member(level))
        yield pack_words(words)
        if len(removed) == len(known):  # the key had become empty, so Redis deleted it
            yield command("EXPIRE", key, keys.LEVELS_LIFETIME_SECONDS)
