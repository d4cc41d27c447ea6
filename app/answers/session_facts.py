"""Where in the market's session an answer stands, and what the feed says of itself."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Annotated, Final, Literal

from pydantic import Field

from app.analysis.session import SESSION_PRICES
from app.analysis.trading_hours import PRE, REGULAR
from app.answers.durations import ago
from app.answers.schema import AnswerModel, EpochMs, Known, Number, seconds_of, short, short_size
from app.answers.utc_times import local_clock, utc_clock
from app.core.calendar_zones import ZONES
from app.storage.feeds import is_down
from app.storage.published import FeedRecord, Value

MINUTE_MS: Final = 60_000
MAX_FEED_KINDS: Final = 6
SIZE_DIGITS: Final = 6
PRICE_DIGITS: Final = 9

_SCOPES: Final = {
    "venue": "one venue",
    "consolidated": "all venues",
    "simulated": "simulated",
    "replayed": "replayed",
}


class SessionFacts(AnswerModel):
    """The session so far; what is absent is not known or was not seen."""

    calendar: str
    phase: str
    local_time: str | None = None
    closes_in_minutes: Known = None
    opens_in_minutes: Known = None
    seen_since: EpochMs = None
    open: Known = None
    high: Known = None
    low: Known = None
    vwap: Known = None
    vwap_sd: Known = None
    volume: Known = None
    cvd: Annotated[Known, Field(description="volume of buying less selling aggressors")] = None
    cvd_large: Annotated[Known, Field(description="of large prints")] = None
    poc: Annotated[Known, Field(description="price row with most volume")] = None
    value_area_low: Annotated[Known, Field(description="rows of 70 % of the volume")] = None
    value_area_high: Known = None
    opening_range_low: Annotated[Known, Field(description="first 30 min")] = None
    opening_range_high: Known = None

    def text_parts(self, now_ms: float) -> Iterator[str]:
        """Yield the parts of the session's line of text."""
        yield f"{self.calendar} {self.phase}"
        if self.local_time is not None:
            yield self.local_time
        for verb, minutes in (("closes", self.closes_in_minutes), ("opens", self.opens_in_minutes)):
            if minutes is not None:
                yield f"{verb} in {minutes} min"
        if self.seen_since is not None:
            yield f"seen only since {utc_clock(self.seen_since)} ({ago(self.seen_since, now_ms)})"
        yield from self._numbers()

    def _numbers(self) -> Iterator[str]:
        for name in ("open", "high", "low", "vwap", "vwap_sd", "volume", "cvd", "cvd_large"):
            value = getattr(self, name)
            if value is not None:
                sign = "+" if name.startswith("cvd") and value > 0 else ""
                yield f"{name.replace('_', ' ')} {sign}{value}"
        if self.value_area_low is not None:
            most = "" if self.poc is None else f" (most at {self.poc})"
            yield f"value area {self.value_area_low}..{self.value_area_high}{most}"
        if self.opening_range_low is not None:
            yield f"opening range {self.opening_range_low}..{self.opening_range_high}"


_DETAILS: Final = frozenset(
    {"open", "vwap_sd", "poc", "opening_range_low", "opening_range_high", "volume"}
)
"""What an answer that is too large leaves out."""
_DIGITS: Final = {"vwap": 6, "vwap_sd": 3}
_SIZES: Final = ("volume", "cvd", "cvd_large")


def session_facts(
    session: Mapping[str, Value], now_ms: float, *, in_detail: bool = True
) -> SessionFacts | None:
    """Return a session in the published form, None where its phase is not known."""
    calendar, phase = session.get("calendar"), session.get("phase")
    if not isinstance(calendar, str) or not isinstance(phase, str):
        return None
    zone = ZONES.get(calendar)
    numbers = {
        name: value
        for name, value in session.items()
        if isinstance(value, (int, float)) and (in_detail or name not in _DETAILS)
    }
    until = {REGULAR: "closes_at", PRE: "opened_at"}.get(phase)
    minutes = _minutes_until(numbers.get(until or ""), now_ms)
    since = numbers.get("since")
    return SessionFacts(
        calendar=calendar,
        phase=phase,
        local_time=None if zone is None else local_clock(now_ms, zone),
        closes_in_minutes=None if phase == PRE else minutes,
        opens_in_minutes=minutes if phase == PRE else None,
        seen_since=None if since is None else round(since),
        **{name: short_size(numbers[name], SIZE_DIGITS) for name in _SIZES if name in numbers},
        **{name: _price(name, numbers[name]) for name in SESSION_PRICES if name in numbers},
    )


def _price(name: str, value: float) -> Number:
    return short(value, _DIGITS.get(name, PRICE_DIGITS))


def _minutes_until(at_ms: float | None, now_ms: float) -> int | None:
    return None if at_ms is None or at_ms < now_ms else round((at_ms - now_ms) / MINUTE_MS)


class FeedFacts(AnswerModel):
    """What the feed says of itself; without it nothing is known of the data's source."""

    source: str | None = None
    scope: Literal["venue", "consolidated", "simulated", "replayed"] | None = None
    stamps: Literal["venue", "receive"] | None = None
    delay_seconds: Known = None
    market_share: Annotated[Known, Field(description="0..1 of the volume")] = None
    alive_at: EpochMs = None
    down: Annotated[bool, Field(description="no sign of the feed for over 15 s")] = False

    def text_parts(self, now_ms: float) -> Iterator[str]:
        """Yield the parts of the feed's line of text."""
        if self.source is not None:
            yield self.source
        if self.scope is not None and self.scope != self.source:
            yield _SCOPES[self.scope]
        if self.market_share is not None:
            yield f"{short(100 * self.market_share, 2)} % of the volume"
        if self.delay_seconds is not None:
            yield f"delay {self.delay_seconds} s" if self.delay_seconds else "no delay"
        if self.stamps is not None:
            yield "stamps of the venue" if self.stamps == "venue" else "stamps as received"
        if self.alive_at is not None and not self.down:
            yield f"alive {ago(self.alive_at, now_ms)}"


def feed_kind(feed: FeedRecord | None, now_ms: float) -> str | None:
    """Return source, scope and delay of a feed in a few words, None where it says none of them.

    >>> feed_kind(FeedRecord("kraken", "venue", "venue", 0), 0.0)
    'kraken, one venue, no delay'
    """
    facts = feed_facts(feed, now_ms)
    if facts is None:
        return None
    kept = facts.model_copy(update={"stamps": None, "alive_at": None})
    return ", ".join(kept.text_parts(now_ms)) or None


def count_feeds(feeds: Iterable[FeedRecord | None], now_ms: float) -> dict[str, int]:
    """Count tickers by what their feeds are, those whose feed is down apart."""
    counts: Counter[str] = Counter()
    for feed in feeds:
        kind = feed_kind(feed, now_ms)
        if kind is not None:
            counts[f"{kind}, FEED DOWN" if is_down(feed, now_ms) else kind] += 1
    return dict(counts.most_common(MAX_FEED_KINDS))


def feed_lines(feeds: Mapping[str, int]) -> Iterator[str]:
    """Yield the line that tells how many tickers come from which feed."""
    if feeds:
        yield "feeds: " + "; ".join(f"{kind} ({count})" for kind, count in feeds.items())


def feed_facts(feed: FeedRecord | None, now_ms: float) -> FeedFacts | None:
    """Return what a feed says of itself in the published form, None where it says nothing."""
    if feed is None:
        return None
    alive_at = None if feed.alive_at is None else round(feed.alive_at)
    return FeedFacts.model_validate(
        {
            "source": feed.source,
            "scope": feed.scope,
            "stamps": feed.stamps,
            "delay_seconds": None if feed.delay_ms is None else seconds_of(feed.delay_ms),
            "market_share": None if feed.market_share is None else short(feed.market_share, 3),
            "alive_at": alive_at,
            "down": is_down(feed, now_ms),
        }
    )
