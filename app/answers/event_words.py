"""Say an event in words: what happened, where, how rare it is, when, and how it ended.

Each pattern has one template, a sequence of parts; a part of which a field is not known is left
out, so that an event of an older or newer form is still told.
"""

import re
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Final, NamedTuple

from app.analysis.pattern_table import POINT_TYPES, TIGHT_AND_WIDE, UP_AND_DOWN
from app.analysis.touch import SIDE_NAMES
from app.answers.schema import Number, plain, short, whole
from app.answers.utc_times import utc_clock
from app.storage.published import EventRecord

TEMPLATES: Final[Mapping[str, tuple[str, ...]]] = {
    "absorption": (
        "absorbed {level_shares} {taken} in 30 s",
        "mid {moved}, usual {move} {expected_ticks}",
    ),
    "stacking": (
        "stacking",
        "size grew from {start_shares} to {size_shares}",
        "usual size {median_shares}",
    ),
    "momentum_shift": (
        "momentum shift {side} of quote flow",
        "mid {moved} in {seconds} s",
    ),
    "iceberg": (
        "iceberg",
        "{refills} refills",
        "{displayed_shares} shown first",
        "{executed_shares} executed",
        "{kind_words}",
    ),
    "sweep": (
        "sweep by {takers}",
        "{size_shares} through {prices} prices",
    ),
    "wall": (
        "wall",
        "{size_shares} shown",
        "usual size {median_shares}",
        "{traded_shares} traded",
    ),
    "pulling": (
        "pulling",
        "{removed_shares} withdrawn within 1 s",
        "{displayed_shares} shown as it began",
    ),
    "hidden_print": (
        "hidden prints inside the spread",
        "{volume_shares} in {prints} prints",
    ),
    "spread_regime": (
        "spread regime {regime}",
        "{spread_ticks} ticks",
        "usual {usual_ticks} ticks",
    ),
    "quote_burst": (
        "quote burst",
        "{quotes_per_second} quotes in 1 s",
        "{trades_per_second} prints",
    ),
    "trade_burst": (
        "trade burst by {takers}",
        "{volume_shares} in {prints} prints within 10 s",
        "mid {moved}",
    ),
    "price_gap": (
        "price gap {direction} of {ticks} ticks in under 5 ms",
        "{size_before_shares} shown before",
        "{size_after_shares} after",
    ),
    "absorption_suspected": (
        "absorption suspected (quotes only)",
        "size fell by {decreased_shares} in all",
        "rose by {increased_shares} within {age_seconds} s",
    ),
    "refill_suspected": (
        "refill suspected (quotes only)",
        "size came back {recoveries} times",
        "up to {dip_shares} shown",
    ),
}
"""What each pattern's event says, from its evidence and the words that `_computed` makes of it."""

REASONS: Final[Mapping[str, str]] = {
    "silence": "ended by silence",
    "elapsed": "time elapsed",
    "crossed": "price crossed",
    "gap": "cut by a gap",
    "broke": "price broke",
    "turned": "flow turned",
    "improved": "price improved",
    "lost": "price lost",
    "opposite": "opposite shift",
    "flicker": "flicker, size back",
    "merged": "merged into the older one beside it",
    "normal": "normal again",
    "one_sided": "one sided book",
    "other": "closed",
}
"""Close reasons that do not speak for themselves; others are said as they are."""

_ONE_OF_MANY = re.compile(r"(?<![\d.,-])1 (tick|refill|price|quote|print|time)s\b")
_FIELD = re.compile(r"\{(\w+)\}")


class _Part(NamedTuple):
    """A part of a template, and the fields that it needs."""

    text: str
    fields: tuple[str, ...]


_PARTS: Final = {
    kind: tuple(_Part(text, tuple(_FIELD.findall(text))) for text in parts)
    for kind, parts in TEMPLATES.items()
}
_WORD_OF_SIDE: Final[Mapping[str, Mapping[str, str]]] = {
    "bid": {"taken": "sold", "takers": "aggressive sellers", "move": "fall"},
    "ask": {"taken": "bought", "takers": "aggressive buyers", "move": "rise"},
    "tight": {"regime": "tight"},
    "wide": {"regime": "wide"},
}
SIGNIFICANT_DIGITS: Final = 3


def what_happened(event: EventRecord, most_parts: int | None = None) -> str:
    """Return where and what, as in `ask 224.39: absorbed 937 bought in 30 s`."""
    said = ", ".join(_filled(_PARTS.get(event.type, ())[:most_parts], event))
    said = _ONE_OF_MANY.sub(r"1 \1", said)
    where = _where(event)
    return f"{where}: {said}" if where else said


def _name(event: EventRecord) -> str:
    """Return what an event is called where its first part is not said."""
    name = event.type.replace("_", " ")
    return f"{name} {event.side}" if event.side in (*UP_AND_DOWN, *TIGHT_AND_WIDE) else name


def _filled(parts: tuple[_Part, ...], event: EventRecord) -> Iterator[str]:
    known = {**event.evidence, "side": event.side, **_WORD_OF_SIDE.get(event.side, {})}
    known |= _computed(known)
    if not parts or not all(name in known for name in parts[0].fields):
        yield _name(event)
    for part in parts:
        if all(name in known for name in part.fields):
            yield part.text.format_map(
                {name: evidence_text(name, known[name]) for name in part.fields}
            )


def _computed(known: Mapping[str, object]) -> dict[str, object]:
    """Return what templates say that follows from several fields of an event's evidence."""
    found: dict[str, object] = {}
    ticks, price = known.get("moved_ticks"), known.get("mid_move")
    if isinstance(ticks, (int, float)):
        # Told along the flow, which lowers the mid where it takes the bid.
        found["moved"] = _moved(-ticks if known["side"] == "bid" else ticks, " ticks")
    elif isinstance(price, (int, float)):
        found["moved"] = _moved(price)
    spread, ratio = known.get("spread_ticks"), known.get("ratio")
    if isinstance(spread, (int, float)) and isinstance(ratio, (int, float)) and ratio:
        is_tight = known.get("regime") == "tight"
        found["usual_ticks"] = spread * ratio if is_tight else spread / ratio
    if "kind" in known:
        found["kind_words"] = _kind_words(known)
    return found


def _kind_words(known: Mapping[str, object]) -> str:
    """Return an iceberg's kind; of a native one with the refills that make it so.

    >>> _kind_words({"kind": "native", "native_refills": 0, "through_refills": 2})
    'native: 2 within a print'
    """
    if known["kind"] == "native":
        for name, when in (("through_refills", "within a print"), ("native_refills", "in 1 ms")):
            if known.get(name):
                return f"native: {known[name]} {when}"
    return str(known["kind"])


def _moved(move: float, unit: str = "") -> str:
    """Return which way a price moved, and how far.

    >>> _moved(-0.44), _moved(1.5, " ticks"), _moved(0.0)
    ('fell 0.44', 'rose 1.5 ticks', 'did not move')
    """
    if not move:
        return "did not move"
    return f"{'rose' if move > 0 else 'fell'} {_with_commas(short(abs(move), 3))}{unit}"


def _where(event: EventRecord) -> str:
    """Return the side of the book with its price; nothing for events of no side of it."""
    if event.side not in SIDE_NAMES:
        return ""
    if event.price_low is None:
        return event.side
    return f"{event.side} {price_range(event.price_low, event.price_high)}"


def price_range(low: float, high: float | None) -> str:
    """Return one price, or the two ends of a range.

    >>> price_range(585.3, 585.31), price_range(100.0, 100.0)
    ('585.3..585.31', '100')
    """
    least = plain(whole(low))
    return least if high is None or high == low else f"{least}..{plain(whole(high))}"


def evidence_text(name: str, value: object) -> str:
    """Return a number of the evidence: sizes whole with commas, others to three digits.

    >>> evidence_text("flow_shares", -12345.6), evidence_text("ratio", 2.3456)
    ('12,346', '2.35')
    """
    if not isinstance(value, (int, float)):
        return str(value).replace("_", " ")
    return size_text(abs(value)) if name.endswith("_shares") else _with_commas(short(value, 3))


def size_text(size: float) -> str:
    """Return a size with commas; under a hundred to three digits.

    >>> size_text(1200.0), size_text(0.01234), size_text(18.5)
    ('1,200', '0.0123', '18.5')
    """
    rounded = short(size, SIGNIFICANT_DIGITS) if size < 100 else round(size)  # noqa: PLR2004
    return _with_commas(rounded)


def _with_commas(number: Number) -> str:
    return f"{Decimal(str(number)):,f}"


def how_rare(event: EventRecord) -> str:
    """Return how often such an event comes, or that the past is too small to say.

    An event whose size at an asked moment is not kept has neither.
    """
    if event.return_minutes is not None:
        over = "over " if event.at_least else ""
        return f"once in {over}{short(event.return_minutes, 2)} min"
    ratio = over_threshold(event)
    return "size then not kept" if ratio is None else f"unranked, {short(ratio, 2)} x its threshold"


def over_threshold(event: EventRecord) -> float | None:
    """Return an event's statistic over what it had to reach, None where one is not known."""
    if event.statistic is None or not event.threshold:
        return None
    return event.statistic / event.threshold


def when(event: EventRecord) -> str:
    """Return clock times in UTC of an event's notice and end, with the reason of the end.

    Both in the order of time: one that ended within the second is noticed only then.
    """
    if event.type in POINT_TYPES:
        return f"at {utc_clock(event.opened_at)}"
    noticed = f"noticed {utc_clock(event.noticed_at)}"
    if event.closed_at is None:
        return f"{noticed}, {event.status}"
    reason = event.close_reason or "closed"
    words = REASONS.get(reason, reason.replace("_", " "))
    ended = f"{words} {utc_clock(event.closed_at)}"
    return f"{noticed}, {ended}" if event.closed_at >= event.noticed_at else f"{ended}, {noticed}"


def during(event: EventRecord) -> str:
    """Return the clock times between which an event lasted, or that it is open."""
    if event.type in POINT_TYPES:
        return f"at {utc_clock(event.opened_at)}"
    if event.closed_at is None:
        return event.status
    if event.closed_at < event.noticed_at:
        return f"until {utc_clock(event.closed_at)}"
    return f"{utc_clock(event.noticed_at)} to {utc_clock(event.closed_at)}"


def in_words(event: EventRecord) -> str:
    """Return an event as one sentence without ages, which depend on who asks when."""
    return f"{what_happened(event)}; {how_rare(event)}; {when(event)}"
