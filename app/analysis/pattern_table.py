"""Declare every pattern once: its type, sides, evidence, close reasons, and its detector.

What a reader accepts, the published schema, the list of detectors, what a stored state may hold and
the rows of docs/patterns.md all come from here. A new pattern is its detector's file, its row and
its oracle (tests/reference/).
"""
# ruff: noqa: RUF001 - as in docs/patterns.md

from typing import Final, NamedTuple

from app.analysis.touch import SIDE_NAMES

SHARES: Final = "shares"
COUNT: Final = "1"
TICKS: Final = "ticks"
SECONDS: Final = "s"
MS: Final = "ms"
PER_SECOND: Final = "1/s"
PRICE: Final = "price"
WORD: Final = "word"

UP_AND_DOWN: Final = ("up", "down")
TIGHT_AND_WIDE: Final = ("tight", "wide")
BOTH: Final = ("both",)
"""The side of a pattern of the whole book."""

ANY_CLOSE_REASONS: Final = {
    "silence": "no record for 300 s: the ticker sleeps",
    "gap": "records were lost before they could be folded",
    "detector_failed": "its detector met an error and began anew",
}
"""Reasons that close events of any type, with their meaning."""


class Evidence(NamedTuple):
    """A field of a pattern's evidence, with the words that it may hold where it is no number."""

    name: str
    unit: str
    meaning: str
    words: tuple[str, ...] = ()


class Pattern(NamedTuple):
    """One pattern.

    `detector` is the module and the class in `app.analysis.patterns`; detectors are called in the
    order of `turn`. `key` is what, besides type and side, tells one event from another. A point is
    an event without duration: it is never continued and closes at its own time.
    """

    type: str
    detector: str
    turn: int
    sides: tuple[str, ...]
    key: str
    close_reasons: dict[str, str]
    evidence: tuple[Evidence, ...]
    is_point: bool = False


MERGED: Final = "merged"
"""Why an event closes that became a part of another one; it is no event of the past then."""

PATTERNS: Final[tuple[Pattern, ...]] = (
    Pattern(
        "absorption",
        "absorption:Absorption",
        11,
        SIDE_NAMES,
        "",
        {
            "broke": "the best price of the side is worse than the level",
            "turned": "the flow has the other direction",
            "faded": "the flow is under half of what opened it",
        },
        (
            Evidence("flow_shares", SHARES, "F, the signed taker volume of the last 30 s"),
            Evidence("usual_flow_shares", SHARES, "F̃, the median of abs(F), as frozen"),
            Evidence("expected_ticks", TICKS, "λ·abs(F), the move that such a flow usually makes"),
            Evidence("moved_ticks", TICKS, "the mid's move along the flow"),
            Evidence("usual_move_ticks", TICKS, "the median of the mid's move over 30 s, unsigned"),
            Evidence("level_shares", SHARES, "V_P, the takers' volume printed at the level"),
            Evidence("level_share", COUNT, "V_P/V, its part of all that these takers printed"),
            Evidence("displayed_shares", SHARES, "size shown at the level"),
        ),
    ),
    Pattern(
        "stacking",
        "stacking:Stacking",
        6,
        SIDE_NAMES,
        "the visit",
        {
            "faded": "size under 1.25 × the start size",
            "improved": "the side's best price became a better one",
            "lost": "the side's best price became a worse one, or none",
        },
        (
            Evidence("start_shares", SHARES, "size at the visit's start"),
            Evidence("size_shares", SHARES, "greatest size from age 2 s on"),
            Evidence("median_shares", SHARES, "the side's median size, as frozen"),
            Evidence("added_shares", SHARES, "greatest size less the start size"),
        ),
    ),
    Pattern(
        "momentum_shift",
        "momentum:MomentumShifts",
        12,
        UP_AND_DOWN,
        "",
        {
            "opposite": "a shift in the other direction opened",
            "faded": "the sum is under a quarter of its threshold",
            "elapsed": "120 s after it opened or went on",
        },
        (
            Evidence(
                "mean_before",
                COUNT,
                "mean log-OFI of the up to 60 seconds with a known D̃ before `opened_at`",
            ),
            Evidence("mean_after", COUNT, "mean log-OFI since `opened_at`"),
            Evidence("mid_move", PRICE, "the mid's move since `opened_at`, by mids last seen"),
            Evidence("seconds", SECONDS, "seconds summed since `opened_at`"),
        ),
    ),
    Pattern(
        "iceberg",
        "icebergs:Icebergs",
        2,
        SIDE_NAMES,
        "price",
        {
            "crossed": "the other side's best price was at the price or beyond it",
            "level_lost": "the side's best price was worse, or none, for 500 ms",
            "silence": "60 s after the newest refill",
        },
        (
            Evidence(
                "kind",
                WORD,
                "`native` where `through_refills` is 1 or more, or `native_refills` 3 or more; "
                "else `synthetic`",
                ("native", "synthetic"),
            ),
            Evidence("refills", COUNT, "refills so far"),
            Evidence(
                "native_refills",
                COUNT,
                "those by a quote within 1 ms of the taking; `through_refills` are not among them",
            ),
            Evidence(
                "through_refills",
                COUNT,
                "those within one print larger than what was shown: the exchange's own",
            ),
            Evidence("displayed_shares", SHARES, "size shown before the first refill"),
            Evidence("median_shares", SHARES, "the side's median size, as frozen"),
            Evidence(
                "executed_shares", SHARES, "takers' prints at the price from the first refill on"
            ),
            Evidence(
                "largest_refill_shares",
                SHARES,
                "greatest size shown at a return; of a refill through, after the stamp",
            ),
            Evidence(
                "median_delay_ms", MS, "median time from taking to refill; absent without any"
            ),
        ),
    ),
    Pattern(
        "sweep",
        "sweeps:Sweeps",
        1,
        SIDE_NAMES,
        "time and price",
        {"elapsed": "1 s after the last print"},
        (
            Evidence("size_shares", SHARES, "visible size of the market order"),
            Evidence("floor_shares", SHARES, "the size that it had to reach"),
            Evidence("prices", COUNT, "distinct prices"),
            Evidence("prints", COUNT, "prints of the order"),
            Evidence("ticks", TICKS, "from lowest to highest price; absent without a known tick"),
            Evidence(
                "inside_shares",
                SHARES,
                "inside prints of the same taker from its first to its last stamp, before another "
                "taker ended it",
            ),
        ),
        is_point=True,
    ),
    Pattern(
        "wall",
        "walls:Walls",
        5,
        SIDE_NAMES,
        "the visit",
        {
            "improved": "the side's best price became a better one",
            "consumed": "gone, at least 0.75 of it traded",
            "pulled": "gone, under 0.25 of it traded",
            "faded": "gone, a part between these traded",
            "removed": "gone, on a feed without trades",
        },
        (
            Evidence("size_shares", SHARES, "greatest size since it first reached the threshold"),
            Evidence("threshold_shares", SHARES, "the size that it had to reach"),
            Evidence("median_shares", SHARES, "the side's median size, as frozen"),
            Evidence(
                "traded_shares",
                SHARES,
                "takers' prints at the price after the record at `opened_at`",
            ),
            Evidence(
                "removed_shares",
                SHARES,
                "all decreases after the record at `opened_at`, traded ones included",
            ),
        ),
    ),
    Pattern(
        "pulling",
        "pulling:Pulling",
        10,
        SIDE_NAMES,
        "",
        {
            "flicker": "80 % of the size came back within 500 ms",
            "elapsed": "5 s after the second that opened it",
        },
        (
            Evidence("removed_shares", SHARES, "net removal of the second"),
            Evidence("traded_shares", SHARES, "the takers' volume at the best price in it"),
            Evidence("displayed_shares", SHARES, "size shown as the second before ended"),
            Evidence(
                "cause",
                WORD,
                "`cancelled` once a trade was seen, else `unknown`",
                ("cancelled", "unknown"),
            ),
        ),
    ),
    Pattern(
        "hidden_print",
        "hidden_prints:HiddenPrints",
        4,
        SIDE_NAMES,
        "price at which it began",
        {
            "silence": "10 s after the last print",
            MERGED: "it joined an older cluster at adjacent prices, whose event tells all",
        },
        (
            Evidence("prints", COUNT, "inside prints of the cluster"),
            Evidence("volume_shares", SHARES, "volume of these prints"),
            Evidence("floor_shares", SHARES, "the volume that it had to reach"),
            Evidence("volume_share", COUNT, "its part of all volume from first to last"),
        ),
    ),
    Pattern(
        "spread_regime",
        "spread_regimes:SpreadRegimes",
        8,
        TIGHT_AND_WIDE,
        "",
        {
            "normal": "the spread is 0.8 … 1.25 × its median, or beyond on the other side",
            "one_sided": "a side is empty",
        },
        (
            Evidence("ratio", COUNT, "spread/median (wide) or median/spread (tight)"),
            Evidence("spread_ticks", TICKS, "the spread"),
            Evidence("median_spread", PRICE, "its recent median in whole ticks, as frozen"),
        ),
    ),
    Pattern(
        "quote_burst",
        "quote_bursts:QuoteBursts",
        13,
        BOTH,
        "",
        {"faded": "a second with fewer quotes than the 95 % quantile, as frozen"},
        (
            Evidence("quotes_per_second", PER_SECOND, "quotes of the second"),
            Evidence(
                "flicker_share", COUNT, "part of its price changes that went back within 100 ms"
            ),
            Evidence("trades_per_second", PER_SECOND, "prints of the second"),
        ),
    ),
    Pattern(
        "trade_burst",
        "trade_bursts:TradeBursts",
        14,
        SIDE_NAMES,
        "",
        {
            "turned": "the flow has the other direction",
            "faded": "the flow is under half of what opened it",
        },
        (
            Evidence("volume_shares", SHARES, "volume that took the side in the 10 s"),
            Evidence("floor_shares", SHARES, "the signed volume that it had to reach"),
            Evidence("prints", COUNT, "prints that took the side in the 10 s"),
            Evidence("one_sided_share", COUNT, "abs(F) over all takers' volume of the 10 s"),
            Evidence(
                "window_share", COUNT, "part of the volume that took the side in the last 5 min"
            ),
            Evidence("mid_move", PRICE, "the mid's move over the 10 s; absent while unknown"),
        ),
    ),
    Pattern(
        "price_gap",
        "price_gaps:PriceGaps",
        9,
        SIDE_NAMES,
        "time and price",
        {"elapsed": "1 s after the jump"},
        (
            Evidence("ticks", TICKS, "the jump"),
            Evidence("direction", WORD, "whether the new best is higher or lower", UP_AND_DOWN),
            Evidence("size_before_shares", SHARES, "size shown in the quote before"),
            Evidence("size_after_shares", SHARES, "size shown after it"),
        ),
        is_point=True,
    ),
    Pattern(
        "absorption_suspected",
        "suspected_absorption:SuspectedAbsorption",
        7,
        SIDE_NAMES,
        "the visit",
        {
            "level_lost": "the visit ended",
            "elapsed": "60 s after it opened",
        },
        (
            Evidence("start_shares", SHARES, "size at the visit's start"),
            Evidence("decreased_shares", SHARES, "sum of all decreases"),
            Evidence("increased_shares", SHARES, "sum of all increases"),
            Evidence("age_seconds", SECONDS, "age of the visit"),
        ),
    ),
    Pattern(
        "refill_suspected",
        "suspected_refills:SuspectedRefills",
        3,
        SIDE_NAMES,
        "the visit",
        {
            "level_lost": "the visit ended",
            "silence": "60 s after the newest recovery",
        },
        (
            Evidence("recoveries", COUNT, "recoveries of the visit"),
            Evidence("dip_shares", SHARES, "greatest size before a dip, of those that recovered"),
            Evidence("median_delay_ms", MS, "median time from dip to recovery"),
        ),
    ),
)

PATTERN_TYPES: Final = tuple(row.type for row in PATTERNS)
PATTERN_SIDES: Final = tuple(dict.fromkeys(side for row in PATTERNS for side in row.sides))
POINT_TYPES: Final = frozenset(row.type for row in PATTERNS if row.is_point)

CLOSE_REASONS: Final = frozenset(
    {*ANY_CLOSE_REASONS, *(reason for row in PATTERNS for reason in row.close_reasons)}
)
EVIDENCE_NAMES: Final = frozenset(field.name for row in PATTERNS for field in row.evidence)
EVIDENCE_WORDS: Final = frozenset(
    word for row in PATTERNS for field in row.evidence for word in field.words
)
