"""What one tick writes, as one transaction's commands.

Plain commands rather than a script: what a script is given becomes Lua's strings first, which costs
Redis more than the commands themselves (96 against 260 µs a tick).
"""

import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from app.analysis.bars import SECOND_MS, Bar
from app.analysis.levels import PublishedLevel
from app.analysis.patterns.events import Event
from app.analysis.results import TickResult
from app.analysis.state import ENGINE, State
from app.analysis.windows import WINDOWS
from app.storage import keys
from app.storage.scripts import EVENTS, TRIM
from app.storage.tick import codec
from app.storage.tick.journal import Journal
from app.storage.tick.read import TickRead
from app.storage.tick.resp import Command, FieldNames, command, field_names, flat, hset

HOUSEKEEPING_SECONDS = 10
_RENEWED_EACH_TICK_SECONDS = 60
CANDIDATES, LEVELS = "c:", "l:"
_MULTI, _EXEC = command("MULTI"), command("EXEC")
_NO_NAMES = field_names(())


@dataclass(slots=True)
class PublishedKeys:
    """What a ticker's keys show, as far as a worker knows.

    By window `as_of` and the names of the fields; by side the levels, None where not known;
    `recent` are the bars of the last 2 s as packed; `tick_size` is 0 where not known.
    """

    as_of: list[int] = field(default_factory=lambda: [0] * len(WINDOWS))
    names: list[FieldNames] = field(default_factory=lambda: [_NO_NAMES] * len(WINDOWS))
    levels: list[list[PublishedLevel] | None] = field(default_factory=lambda: [None, None])
    recent: list[tuple[Bar, bytes]] = field(default_factory=list)
    tick_size: int = 0

    def packed(self, bars: Sequence[Bar]) -> list[bytes]:
        """Pack bars, each of which is written up to three times: twice as a recent one."""
        known = {id(bar): packed for bar, packed in self.recent}
        return [known.get(id(bar)) or codec.encode_bar(bar) for bar in bars]


class RecordLimits(NamedTuple):
    """Which of the broker's records are kept: by age, and by number in each key."""

    retention_seconds: int
    max_records: int


class TickWrite:
    """One tick's results on their way into a ticker's keys, which `Keys.of_tick` names."""

    def __init__(
        self,
        names: Sequence[str],
        limits: RecordLimits,
        reading: TickRead,
        *,
        is_housekeeping: bool,
    ) -> None:
        self._state, self._quotes, self._trades, self._bars, self._patterns = names[:5]
        self._levels, self._metrics = names[5:7], names[7:]
        self._limits, self._reading, self._is_housekeeping = limits, reading, is_housekeeping

    def commands(
        self,
        state: State,
        analysis: TickResult,
        shown: PublishedKeys,
        version: str,
        journal: Journal | None,
    ) -> list[Command]:
        """Return all of them; `shown` is true once they are carried out.

        The state is stored whole, and long lifetimes are renewed, where there is no journal that
        tells the tick: every ten seconds at least.
        """
        as_of = analysis.as_of
        sealed, recent = shown.packed(analysis.final_bars), shown.packed(state.recent)
        shown.recent = [*zip(state.recent, recent, strict=True)]
        return [
            _MULTI,
            *self._metrics_commands(analysis, shown, renews=journal is None),
            *self._event_commands(state, analysis, renews=journal is None),
            *self._level_commands(state, analysis, shown),
            *self._bar_commands(analysis, sealed),
            *self._state_commands(state, shown, recent, version, journal),
            *self._trim_commands(as_of),
            command("PUBLISH", keys.TICKED_CHANNEL + state.ticker, as_of),
            _EXEC,
        ]

    def _metrics_commands(
        self, analysis: TickResult, shown: PublishedKeys, *, renews: bool
    ) -> Iterator[Command]:
        behaviors = codec.json_text(analysis.behaviors)
        lifetimes = keys.METRICS_LIFETIME_SECONDS.items()
        for place, (window, lifetime) in enumerate(lifetimes):
            # A state that is built anew piece by piece starts in the past: what is published stays
            # until that is caught up with, for a published as_of never goes back.
            if shown.as_of[place] > analysis.as_of:
                continue
            key, names = self._metrics[place], shown.names[place]
            fields, texts = codec.window_texts(analysis, window, behaviors)
            # The hash is replaced whole; where it has these very fields, by setting them: a third
            # of what it costs to make it anew.
            is_new = self._reading.lengths[place] != len(fields) or names.fields != fields
            if is_new:
                names = field_names(fields)
                yield command("DEL", key)
            yield hset(key, names, texts)
            if is_new or renews or lifetime <= _RENEWED_EACH_TICK_SECONDS:
                yield command("EXPIRE", key, lifetime)
            shown.as_of[place], shown.names[place] = analysis.as_of, names

    def _event_commands(
        self, state: State, analysis: TickResult, *, renews: bool
    ) -> Iterator[Command]:
        live = state.context.events.live.values()
        oldest = analysis.as_of - keys.PATTERNS_LIFETIME_SECONDS * SECOND_MS
        # Now and then all that is open: what others did to the key meanwhile is mended so.
        told = (
            [*analysis.changed_events, *live] if self._is_housekeeping else analysis.changed_events
        )
        forms = [form for event in told for form in _form(event)]
        for opened_at, name in analysis.expired_events:
            forms += (repr(opened_at), f'{{"id":"{name}"', "")
        if self._is_housekeeping:
            yield "ZREMRANGEBYSCORE", self._patterns, "-inf", oldest
        if forms:
            yield "EVAL", EVENTS, 1, self._patterns, *forms
        if forms or self._is_housekeeping:
            yield command("EXPIRE", self._patterns, keys.PATTERNS_LIFETIME_SECONDS)
        if analysis.changed_events or renews:
            lines = "\n".join([codec.event_json(event) for event in live])
            yield command("HSET", self._state, keys.OPEN_EVENTS, lines)

    def _level_commands(
        self, state: State, analysis: TickResult, shown: PublishedKeys
    ) -> Iterator[Command]:
        for side, key in enumerate(self._levels):
            now, before = analysis.levels[side], shown.levels[side]
            if self._is_housekeeping:
                # Whole likewise.
                now, before = state.levels[side].top(), None
            if now is not None:
                yield from _level_changes(key, before, now)
                shown.levels[side] = now

    def _bar_commands(self, analysis: TickResult, sealed: Sequence[bytes]) -> Iterator[Command]:
        for bar, packed in zip(analysis.final_bars, sealed, strict=True):
            yield "XADD", self._bars, f"{bar.end}-0", "b", packed
        if sealed:
            yield command("EXPIRE", self._bars, keys.BARS_LIFETIME_SECONDS)
        if self._is_housekeeping:
            oldest = analysis.as_of - keys.BARS_LIFETIME_SECONDS * SECOND_MS
            yield "XTRIM", self._bars, "MINID", "~", oldest

    def _state_commands(
        self,
        state: State,
        shown: PublishedKeys,
        recent: Sequence[bytes],
        version: str,
        journal: Journal | None,
    ) -> Iterator[Command]:
        reading = self._reading
        fields: dict[str, Any] = {
            "version": version,
            "as_of": state.as_of,
            "behind": reading.behind,
            "recent": codec.join_bars(recent),
            "recent_count": sum([bar.stored for bar in state.recent]),
            "journal": codec.encode_journal(journal) if journal is not None else b"",
        }
        gone = [] if reading.gap_end is None else ["lost_to"]
        if journal is None:
            packed = codec.encode_state(state, changed_only=bool(reading.version))
            gone += [LEVELS + name for name in packed.gone]
            fields["engine"], fields["blob"] = ENGINE, packed.blob
            fields.update({CANDIDATES + kind: it for kind, it in packed.candidates.items()})
            fields.update({LEVELS + name: it for name, it in packed.levels.items()})
        tick_size = state.context.tick_size.size
        if journal is None or tick_size != shown.tick_size:
            if tick_size:
                fields[keys.TICK_SIZE] = tick_size
            else:
                gone.append(keys.TICK_SIZE)
            shown.tick_size = tick_size
        if gone:
            yield "HDEL", self._state, *gone
        yield "HSET", self._state, *flat(fields)
        if journal is None:
            yield command("EXPIRE", self._state, keys.STATE_LIFETIME_SECONDS)

    def _trim_commands(self, as_of: int) -> Iterator[Command]:
        if self._is_housekeeping or self._reading.key_check.crowded:
            start = as_of - self._limits.retention_seconds * SECOND_MS
            oldest = f"({start}" if self._is_housekeeping else ""
            records = self._quotes, self._trades
            most = self._limits.max_records
            yield "EVAL", TRIM, 3, self._state, *records, as_of, oldest, most


def is_housekeeping_turn(ticker: str, as_of: int, interval_seconds: int) -> bool:
    """Tell whether it is the ticker's turn to keep house, every ten seconds; not all at once."""
    turns = max(1, HOUSEKEEPING_SECONDS // interval_seconds)
    number = as_of // (SECOND_MS * interval_seconds)
    return (number + zlib.crc32(ticker.encode())) % turns == 0


def _form(event: Event) -> tuple[str, str, str]:
    return repr(event.opened_at), f'{{"id":"{event.id}"', codec.event_json(event)


def _level_changes(
    key: str, before: list[PublishedLevel] | None, now: list[PublishedLevel]
) -> Iterator[Command]:
    """Write what is to become of one side's levels; all of them anew where it can't be known.

    A tick changes one or two of forty; writing all of them costs as much as all else (CPU of
    both sides), and a form that did not change is the very same object.
    """
    if before is None:
        yield command("DEL", key)
    earlier = {id(level): level for level in before or ()}
    later = {id(level) for level in now}
    gone = [codec.level_json(level) for at, level in earlier.items() if at not in later]
    new: list[str] = []
    for level in now:
        if id(level) not in earlier:
            new += (repr(level.significance), codec.level_json(level))
    if gone:
        yield command("ZREM", key, *gone)
    if new:
        yield command("ZADD", key, *new)
        if len(gone) == len(earlier):  # without a member left the key itself went
            yield command("EXPIRE", key, keys.LEVELS_LIFETIME_SECONDS)
