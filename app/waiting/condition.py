"""What somebody waits for: an event of some kind, or a number that is high or low for its ticker.

    iceberg, absorption ask min_return_minutes 30
    ofi rank >= 0.95 in 1min or any sweep

Alternatives stand apart by `or`. The words of one alternative all hold together: any of its
patterns, on any of its sides, at least as rare as it says.
"""

import re
from collections.abc import Collection, Sequence
from typing import NamedTuple

from app.analysis.metric_table import RANKED
from app.analysis.pattern_table import PATTERN_SIDES, PATTERN_TYPES
from app.analysis.windows import WINDOWS
from app.core.arguments import parse_seconds
from app.core.errors import BadQuestion
from app.core.words import find_name
from app.storage.published import EventRecord

DEFAULT_CONDITION = "min_return_minutes 10"
DEFAULT_WINDOW = "1min"
MAX_ALTERNATIVES = 8
MAX_CHARACTERS = 400
ACCEPTED = (
    f"patterns ({', '.join(PATTERN_TYPES)}), sides ({', '.join(PATTERN_SIDES)}), "
    f"`min_return_minutes 30`, `METRIC rank >= 0.95 in 1min` ({', '.join(RANKED)}; "
    f"{', '.join(WINDOWS)}), with `or` between alternatives"
)
_ALTERNATIVES = re.compile(r"\bor\b|[;|]")
_TOKEN = re.compile(r">=|<=|[<>=]|[^\s,:<>=]+")
_LENGTH = re.compile(r"\b(?:in|over)(?: the)?(?: last)? ([0-9]{1,4}) ?([a-z]+)")
_SYMBOLS = str.maketrans({"≥": ">=", "≤": "<="})
_PERCENT = re.compile(r" %|(?:st|nd|rd|th)? percentile\b")
_NUMBER = re.compile(r"p?([0-9]{1,6}(?:\.[0-9]{1,6})?|\.[0-9]{1,6})(%|st|nd|rd|th)?")
_MINUTES = re.compile(r"([0-9]{1,6}(?:\.[0-9]{1,6})?)([a-z]*)")
_AT_LEAST = frozenset((">=", ">", "above", "over", "least"))
_AT_MOST = frozenset(("<=", "<", "below", "under", "most"))
_RARITY = frozenset(("min_return_minutes", "return_minutes", "return", "rarer", "once"))
_UNIT_MINUTES = {
    **dict.fromkeys(("", "m", "min", "mins", "minute", "minutes"), 1.0),
    **dict.fromkeys(("h", "hr", "hour", "hours"), 60.0),
}
# A rank under it without a sign may be meant either way.
_MEDIAN_RANK = 0.5
# Words without a meaning of their own here.
_FILLERS = frozenset(
    (
        "a",
        "an",
        "the",
        "any",
        "all",
        "is",
        "in",
        "on",
        "at",
        "of",
        "and",
        "with",
        "when",
        "new",
        "rank",
        "side",
        "sides",
        "pattern",
        "patterns",
        "event",
        "events",
        "than",
        "every",
        "=",
        "as",
        "its",
        "metric",
    )
)


class EventCondition(NamedTuple):
    """Events of these types and sides (empty: any), with a return period of at least so much."""

    types: tuple[str, ...] = ()
    sides: tuple[str, ...] = ()
    min_return_minutes: float = 0.0

    def holds(self, event: EventRecord) -> bool:
        """Return whether an event is one of these; a return period that is not known is too short.

        A condition without a return period takes events of any, known or not.
        """
        is_kind = not self.types or event.type in self.types
        is_side = not self.sides or event.side in self.sides
        least = self.min_return_minutes
        return is_kind and is_side and (not least or (event.return_minutes or 0.0) >= least)

    def __str__(self) -> str:
        rarity = f"min_return_minutes {self.min_return_minutes:g}"
        parts = [*self.types, *self.sides, *([rarity] if self.min_return_minutes else [])]
        return " ".join(parts) or "any"


class RankCondition(NamedTuple):
    """A metric of a window whose rank in the ticker's own past is at least, or at most, a share."""

    metric: str
    window: str
    share: float
    is_at_least: bool = True

    def holds(self, rank: float | None) -> bool:
        """Return whether a rank meets this; one that is not known does not."""
        if rank is None:
            return False
        return rank >= self.share if self.is_at_least else rank <= self.share

    def __str__(self) -> str:
        sign = ">=" if self.is_at_least else "<="
        return f"{self.metric} rank {sign} {self.share:g} in {self.window}"


class Condition(NamedTuple):
    """Alternatives, any of which ends a wait."""

    events: tuple[EventCondition, ...] = ()
    ranks: tuple[RankCondition, ...] = ()

    def is_met_by(self, event: EventRecord) -> bool:
        """Return whether an event meets any alternative."""
        return any(one.holds(event) for one in self.events)

    @property
    def asks_rarity(self) -> bool:
        """Return whether an alternative asks for a return period."""
        return any(one.min_return_minutes for one in self.events)

    @property
    def windows(self) -> tuple[str, ...]:
        """Return the windows whose ranks are waited for."""
        return tuple(dict.fromkeys(one.window for one in self.ranks))

    def __str__(self) -> str:
        return " or ".join(map(str, (*self.events, *self.ranks)))


def parse_condition(text: str) -> Condition:
    """Return the condition that a person or a model typed.

    Raises `BadQuestion`, which lists what is accepted.

    >>> str(parse_condition("Icebergs or absorption, ask side, rarer than 30 minutes"))
    'iceberg or absorption ask min_return_minutes 30'
    >>> str(parse_condition("OFI p95 or spread_bps rank <= 5% in 10s"))
    'ofi rank >= 0.95 in 1min or spread_bps rank <= 0.05 in 10s'
    """
    if len(text) > MAX_CHARACTERS:
        raise _refused(f"{len(text)} characters, {MAX_CHARACTERS} are accepted")
    events: list[EventCondition] = []
    ranks: list[RankCondition] = []
    written = text.lower().translate(_SYMBOLS).strip() or DEFAULT_CONDITION
    alternatives = [part for part in _ALTERNATIVES.split(written) if part.strip(" ,")]
    if not 1 <= len(alternatives) <= MAX_ALTERNATIVES:
        raise _refused(f"{len(alternatives)} alternatives, 1 to {MAX_ALTERNATIVES} are accepted")
    for part in alternatives:
        tokens = _TOKEN.findall(_LENGTH.sub(r"in \1\2", _PERCENT.sub("%", part)))
        if _has_metric(tokens):
            ranks.append(_rank_condition(tokens))
        else:
            events.append(_event_condition(tokens))
    return Condition(tuple(dict.fromkeys(events)), tuple(dict.fromkeys(ranks)))


def _refused(fault: str) -> BadQuestion:
    return BadQuestion(f"condition: {fault}; accepted: {ACCEPTED}")


def _has_metric(tokens: Sequence[str]) -> bool:
    return any(_take(tokens, place, RANKED)[0] for place in range(len(tokens)))


def _take(tokens: Sequence[str], place: int, names: Collection[str]) -> tuple[str | None, int]:
    """Return the name that begins at a place, of up to three words, and the place behind it."""
    for end in range(min(place + 3, len(tokens)), place, -1):
        name = find_name(" ".join(tokens[place:end]), names)
        if name is not None:
            return name, end
    return None, place


def _event_condition(tokens: Sequence[str]) -> EventCondition:
    types: list[str] = []
    sides: list[str] = []
    minutes, place = 0.0, 0
    while place < len(tokens):
        name, end = _take(tokens, place, PATTERN_TYPES)
        side, side_end = _take(tokens, place, PATTERN_SIDES)
        if name is not None:
            types.append(name)
            place = end
        elif side is not None:
            sides.append(side)
            place = side_end
        elif tokens[place] in _RARITY:
            minutes, place = _rarity(tokens, place + 1)
        elif tokens[place] in _FILLERS:
            place += 1
        else:
            raise _refused(f"{tokens[place][:40]!r} is not understood")
    return EventCondition(tuple(dict.fromkeys(types)), tuple(dict.fromkeys(sides)), minutes)


def _rarity(tokens: Sequence[str], place: int) -> tuple[float, int]:
    """Return the minutes of `>= 30 min` or `than 1 h`, and the place behind them."""
    skipped = (_FILLERS | _AT_LEAST | _RARITY | {"minutes", "period"}) - {"a", "an"}
    tokens = ["1" if token in ("a", "an", "one") else token for token in tokens]
    while place < len(tokens) and tokens[place] in skipped:
        place += 1
    found = _MINUTES.fullmatch(tokens[place]) if place < len(tokens) else None
    if found is None or found[2] not in _UNIT_MINUTES:
        raise _refused("min_return_minutes has no number")
    unit, place = found[2], place + 1
    if not unit and place < len(tokens) and tokens[place] in _UNIT_MINUTES:
        unit, place = tokens[place], place + 1
    return float(found[1]) * _UNIT_MINUTES[unit], place


def _rank_condition(tokens: Sequence[str]) -> RankCondition:
    metric, window, share, is_at_least = "", DEFAULT_WINDOW, -1.0, None
    place = 0
    while place < len(tokens):
        token = tokens[place]
        name, end = _take(tokens, place, RANKED)
        if name is not None and not metric:
            metric, place = name, end
            continue
        if token in _AT_LEAST or token in _AT_MOST:
            is_at_least = token in _AT_LEAST
        elif (found := _window(token)) is not None and share >= 0:
            window = found
        elif _NUMBER.fullmatch(token) and share < 0:
            share = _share(token)
        elif (found := _window(token)) is not None:
            window = found
        elif token not in _FILLERS:
            raise _refused(f"{token[:40]!r} is not understood")
        place += 1
    if share < 0:
        raise _refused(f"{metric} has no rank")
    if is_at_least is None and share < _MEDIAN_RANK:
        raise _refused(f"say {metric} rank <= {share:g}, or >= {share:g}")
    return RankCondition(metric, window, share, is_at_least is not False)


def _window(token: str) -> str | None:
    seconds = parse_seconds(token)
    return next((name for name, length in WINDOWS.items() if length == seconds), None)


def _share(token: str) -> float:
    """Return a rank as a share: 0.95, 95 %, p95 and 95th are the same."""
    found = _NUMBER.fullmatch(token)
    number = float(found[1]) if found else -1.0
    is_percent = token.startswith("p") or (found is not None and found[2] is not None)
    share = number / 100 if is_percent or number > 1 else number
    if not 0 <= share <= 1:
        raise _refused(f"the rank {token[:40]!r} lies from 0 to 1")
    return round(share, 6)
