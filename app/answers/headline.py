"""Say in words what is farthest from usual: an answer's first line, and the board's `why`."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from app.answers.event_words import during, how_rare, size_text, what_happened
from app.answers.schema import short
from app.storage.published import EventRecord, Value

FAR_SHARE: Final = 0.1
"""A number is far from usual where at most this share of the past was as far on its side."""
MOST_NUMBERS: Final = 2
MOST_EVENTS: Final = 2
MOST_PARTS: Final = 2
"""The first parts of an event's template are said here; with fewer, how rare it is is not, and
without any only whether it is over."""

NAMES: Final[Mapping[str, str]] = {
    "spread_bps": "mean spread {} bp",
    "effective_spread_bps": "effective spread {} bp",
    "ofi": "order flow imbalance {:+,}",
    "log_ofi": "log order flow imbalance {:+}",
    "trade_imbalance": "trade imbalance {:+}",
    "signed_volume": "net volume by aggressors {:+,}",
    "queue_imbalance": "queue imbalance {:+}",
    "realized_volatility_bps": "volatility {} bp",
    "quotes_per_second": "{} quotes/s",
    "trade_count": "{:,} prints",
    "size_turnover": "size turnover {:,}/s",
    "avg_bid_size": "mean bid size {:,}",
    "avg_ask_size": "mean ask size {:,}",
}
"""How each ranked metric is said, with its number."""

GROUPS: Final[Sequence[frozenset[str]]] = (
    frozenset({"ofi", "log_ofi"}),
    frozenset({"trade_imbalance", "signed_volume"}),
    frozenset({"spread_bps", "effective_spread_bps"}),
    frozenset({"quotes_per_second", "trade_count", "size_turnover"}),
)
"""Metrics that tell nearly the same: one of each group is said."""


def headline(  # noqa: PLR0913 - what there is to say, and how much of it
    metrics: Mapping[str, Value],
    ranks: Mapping[str, float],
    events: Sequence[EventRecord] | None,
    *,
    is_past: bool,
    most_numbers: int = MOST_NUMBERS,
    most_parts: int = MOST_PARTS,
    window: str | None = None,
) -> str:
    """Return the two or three facts farthest from usual, or that there are none.

    `events` are the one or two to name; each more takes the place of a number. `window` is given
    where metrics and ranks are of another time than the answer's history; of events nothing is
    said where they were not asked for (None).
    """
    named = (events or ())[: MOST_EVENTS if most_parts else 1]
    most_numbers -= max(0, len(named) - 1)
    said = [
        *(_event_said(event, most_parts) for event in named),
        *_far_numbers(metrics, ranks, most_numbers, window),
    ]
    if said:
        return "; ".join(said)
    if ranks:
        return "no number far from usual" if events is None else "nothing far from usual"
    if is_past:
        return f"{'' if events is None else 'no rare event kept of then; '}ranks are not kept"
    return "too early to say what is usual for this ticker"


def _event_said(event: EventRecord, most_parts: int) -> str:
    said = what_happened(event, most_parts)
    if most_parts:
        rare = f"{how_rare(event)}, " if most_parts >= MOST_PARTS else ""
        return f"{said} ({rare}{during(event)})"
    return said if event.status == "open" else f"{said} (over)"


def _far_numbers(
    metrics: Mapping[str, Value], ranks: Mapping[str, float], most: int, window: str | None
) -> Iterator[str]:
    left = most
    when = "" if window is None else f" in the last {window}"
    told: set[str] = set()
    for name in farthest_first(ranks):
        rank, value = ranks[name], metrics.get(name)
        if left <= 0 or not is_far(rank):
            return
        if name in told or name not in NAMES or not isinstance(value, (int, float)):
            continue
        left -= 1
        told |= next((group for group in GROUPS if name in group), {name})
        yield f"{_said(name, metrics, when)} {rank_words(rank)}"


def farthest_first(ranks: Mapping[str, float]) -> list[str]:
    """Return the names of numbers, the farthest from usual first."""
    return sorted(ranks, key=lambda name: -abs(ranks[name] - 0.5))


def is_far(rank: float) -> bool:
    """Return whether a number is far from usual."""
    return min(rank, 1 - rank) <= FAR_SHARE


def _said(name: str, metrics: Mapping[str, Value], when: str) -> str:
    """Return a number, and what of it is ranked; the comma keeps the number from being a distance.

    "2.9 bp below usual" would be 2.9 bp less than usual.
    """
    taken = [metrics.get(side) for side in ("buy_volume", "sell_volume")]
    if name in ("trade_imbalance", "signed_volume") and None not in taken:
        bought, sold = (size_text(float(size)) for size in taken if size is not None)
        ranked = "imbalance" if name == "trade_imbalance" else "net"
        return f"aggressors bought {bought}, sold {sold}{when}: {ranked}"
    return f"{NAMES[name].format(short(float(metrics[name]), 3))}{when},"


def rank_words(rank: float) -> str:
    """Return which side of usual a number is on, with its rank.

    >>> rank_words(0.97), rank_words(0.004)
    ('above usual (p97)', 'below usual (p01)')
    """
    return f"{'above' if rank > 0.5 else 'below'} usual ({percent(rank)})"  # noqa: PLR2004


def percent(rank: float) -> str:
    """Return a rank as the percent of the past that was below it; never 0 or all of it.

    >>> percent(0.914), percent(0.05), percent(1.0)
    ('p91', 'p05', 'p99')
    """
    return f"p{min(99, max(1, round(100 * rank))):02}"
