"""Declare every metric once: its name, unit, meaning, and how it is shown.

What a reader accepts, the published schema, the text, the columns of other tools and the rows of
docs/metrics.md all come from here; the formulas are in `metrics`. A new metric is its formula, its
row and its oracle (tests/reference/metrics.py).
"""
# ruff: noqa: RUF001 - the formulas hold minus signs

from typing import Final, NamedTuple

from app.analysis.touch import SIDE_NAMES

SHARES: Final = "shares"
PRICE: Final = "price"
RATIO: Final = "−1 … 1"

NORMAL_DIGITS: Final = 4
PRECISE_DIGITS: Final = 9
"""Significant digits of a mean of prices."""
EXACT: Final = 0
"""Prices are shown as they were quoted."""

MID: Final = "mid"
"""A column that is offered besides the metrics."""

UNIT_DESCRIPTIONS: Final = {
    SHARES: "size in the feed's unit, e.g. shares",
    PRICE: "price",
    RATIO: "-1..1",
    "bp": "bp",
    "bp of mid": "bp of mid",
    "price/s": "price/s",
    "shares/s": "size/s",
}
"""What the published schema says of a number of a unit."""


class Metric(NamedTuple):
    """One metric.

    `group` is its section in docs/metrics.md, `limits` what it can't tell. In text it stands in
    `line` behind `label`; metrics that share both are joined by "/". `place` moves a label towards
    the end of its line. A metric without a line has a place of its own in every answer.
    """

    name: str
    group: str
    unit: str
    meaning: str
    limits: str
    line: str
    label: str = ""
    place: int = 0
    words: tuple[str, ...] = ()
    """The words that it may be; empty for a number."""
    is_count: bool = False
    description: str = ""
    """What the published schema says, where that is not its unit's."""
    digits: int = NORMAL_DIGITS
    is_detail: bool = False
    """Whether an answer that is too large leaves it out."""
    is_brief: bool = False
    """Whether it is in the shortest answer."""
    brief_digits: int = 0
    """Its digits there and in a comparison, where they are fewer."""
    compare_place: int = 0
    """Where tickers are compared: after those of a smaller number, and not at all if 0."""
    compare_description: str = ""


TICK: Final = "Which tick"
QUOTES: Final = "Quotes"
SIZES: Final = "Sizes"
SPREAD_AND_MID: Final = "Spread and mid"
FLOW: Final = "Flow"
TRADES: Final = "Trades"
GROUPS: Final = (TICK, QUOTES, SIZES, SPREAD_AND_MID, FLOW, TRADES)

NO_LINE: Final = ""
NOW_LINE: Final = "now bid/ask"
BOOK_LINE: Final = "window bid/ask"
SPREAD_LINE: Final = "spread"
FLOW_LINE: Final = "flow"
TRADES_LINE: Final = "trades"
LINES: Final = (NOW_LINE, BOOK_LINE, SPREAD_LINE, FLOW_LINE, TRADES_LINE)

WHOSE_VOLUME: Final = (
    "who, and why; on AAPL one inferred side in twenty is wrong, all of them prints inside "
    "the quote"
)


def _place(row: Metric) -> int:
    return row.place


def _compare_place(row: Metric) -> int:
    return row.compare_place


def _sides(*rows: Metric) -> tuple[Metric, ...]:
    """Return rows for both sides of the book, those of the bid first."""
    return tuple(
        row._replace(name=row.name.replace("{side}", side)) for side in SIDE_NAMES for row in rows
    )


_LARGE_SIZE: Final = Metric(
    "",
    SIZES,
    SHARES,
    "the ticker's own 95 % quantile of that side's displayed size, sampled each second with a "
    "half-life of 1,800 s, in force at `as_of`",
    "whether it is large for other tickers",
    NOW_LINE,
    "large size",
    place=1,
    is_detail=True,
)

METRICS: Final[tuple[Metric, ...]] = (
    Metric(
        "as_of",
        TICK,
        "epoch ms",
        "the whole multiple of the interval up to which records are in",
        "how old the newest quote is: see the answer's `newest_quote_at`",
        NO_LINE,
    ),
    Metric(
        "covered_seconds",
        TICK,
        "s",
        "seconds of W after the ticker's first quote, less those in gaps",
        "whether the broker sent all it had",
        NO_LINE,
    ),
    Metric(
        "quote_count",
        QUOTES,
        "1",
        "quotes stamped in the window, odd ones too",
        "how many changed anything",
        FLOW_LINE,
        "quotes",
        is_count=True,
    ),
    Metric(
        "quotes_per_second",
        QUOTES,
        "1/s",
        "`quote_count` over the covered seconds",
        "bursts inside the window",
        FLOW_LINE,
        "quotes/s",
        compare_place=3,
    ),
    *_sides(
        Metric(
            "{side}_price",
            QUOTES,
            PRICE,
            "the standing quote's at `as_of`",
            "whether more than its size can be had there",
            NOW_LINE,
            "price",
            digits=EXACT,
            is_brief=True,
            compare_place=1,
        ),
        Metric(
            "{side}_size",
            QUOTES,
            SHARES,
            "the standing quote's at `as_of`; 0 where the side is empty",
            "hidden and deeper size",
            NOW_LINE,
            "size",
        ),
    ),
    Metric(
        "weighted_mid",
        SPREAD_AND_MID,
        PRICE,
        "(bid·ask size + ask·bid size)/(bid size + ask size) of the valid quote at `as_of`. "
        "Stoikov 2018, *Quantitative Finance* 18(12)",
        "a fair price: it is noisy and no martingale",
        NOW_LINE,
        "weighted mid",
        place=1,
        digits=PRECISE_DIGITS,
    ),
    *_sides(
        Metric(
            "{side}_price_movement",
            QUOTES,
            PRICE,
            "standing price at `as_of` − the one at the window's start",
            "the way between",
            BOOK_LINE,
            "moved",
            digits=EXACT,
        ),
    ),
    *_sides(
        Metric(
            "net_{side}_size_change",
            QUOTES,
            SHARES,
            "standing size at `as_of` − the one at the window's start, whatever the prices",
            "whether the size belongs to the same price",
            BOOK_LINE,
            "size change",
            is_detail=True,
        ),
    ),
    *_sides(
        Metric(
            "{side}_lift_count",
            QUOTES,
            "1",
            "quotes whose price of that side is above the one before",
            "how far",
            BOOK_LINE,
            "lifts",
            is_count=True,
            is_detail=True,
        ),
        Metric(
            "{side}_drop_count",
            QUOTES,
            "1",
            "quotes whose price of that side is below the one before",
            "how far",
            BOOK_LINE,
            "drops",
            is_count=True,
            is_detail=True,
        ),
    ),
    *_sides(
        Metric(
            "avg_{side}_size",
            SIZES,
            SHARES,
            "∫ size dt / ∫ dt, while any quote stood",
            "at which prices",
            BOOK_LINE,
            "mean size",
        ),
    ),
    *_sides(
        Metric(
            "large_{side}s_appeared",
            SIZES,
            "1",
            "times that the displayed size rose from below to at or above the large size in force "
            "then; absent where that was warming in part of the window",
            "whether one order or many",
            BOOK_LINE,
            "large appeared",
            place=2,
            is_count=True,
            is_detail=True,
        ),
    ),
    _LARGE_SIZE._replace(name="large_bid_size", description="the ticker's own threshold"),
    _LARGE_SIZE._replace(name="large_ask_size"),
    *_sides(
        Metric(
            "{side}_size_acceleration",
            SIZES,
            "word",
            "time-weighted size of the last ⌈W/2⌉ s over that of the earlier rest: `INCREASING` "
            "above 1.2, `DECREASING` below 0.8, else `STABLE`",
            "which of the two parts was unusual",
            BOOK_LINE,
            "size trend",
            words=("INCREASING", "STABLE", "DECREASING"),
        ),
    ),
    Metric(
        "avg_spread",
        SPREAD_AND_MID,
        PRICE,
        "∫ S dt / ∫ dt while a valid quote stood",
        "what a larger order would pay",
        SPREAD_LINE,
        "mean",
        is_detail=True,
    ),
    Metric(
        "min_spread",
        SPREAD_AND_MID,
        PRICE,
        "least S that stood for more than 0 ms",
        "how long",
        SPREAD_LINE,
        "least",
        digits=EXACT,
        is_detail=True,
    ),
    Metric(
        "max_spread",
        SPREAD_AND_MID,
        PRICE,
        "greatest S that stood for more than 0 ms",
        "how long",
        SPREAD_LINE,
        "greatest",
        digits=EXACT,
        is_detail=True,
    ),
    Metric(
        "spread_bps",
        SPREAD_AND_MID,
        "bp of mid",
        "∫ 10⁴·S/M dt / ∫ dt while a valid quote stood",
        "what a larger order would pay",
        SPREAD_LINE,
        "mean bp",
        is_brief=True,
        brief_digits=3,
        compare_place=1,
    ),
    Metric(
        "spread_ticks",
        SPREAD_AND_MID,
        "ticks",
        "S at `as_of` over the tick size, the greatest common divisor of the differences of all "
        "quoted prices so far; absent before 20 distinct prices and at earlier moments",
        "whether the venue's own tick is smaller",
        NOW_LINE,
        "spread ticks",
        description="ticks",
    ),
    Metric(
        "spread_trend",
        SPREAD_AND_MID,
        "word",
        "time-weighted S of the last ⌈W/5⌉ s over that of the earlier rest: `TIGHTENING` below "
        "0.8, `WIDENING` above 1.2, else `STABLE`",
        "much where the spread is always one tick",
        SPREAD_LINE,
        "trend",
        words=("TIGHTENING", "STABLE", "WIDENING"),
    ),
    Metric(
        "queue_imbalance",
        SIZES,
        RATIO,
        "∫ (bid − ask size)/(bid + ask size) dt / ∫ dt, spans with no size left out. Gould, "
        "Bonart 2016 (arXiv 1512.03492)",
        "much where the spread is several ticks wide",
        FLOW_LINE,
        "queue imbalance",
        description="-1..1, above 0: more bid size",
        is_brief=True,
        brief_digits=3,
        compare_place=1,
    ),
    Metric(
        "ofi",
        FLOW,
        SHARES,
        "Σ e over the window's quotes, e = 1{bid ≥ before}·bid size − 1{bid ≤ before}·bid size "
        "before − 1{ask ≤ before}·ask size + 1{ask ≥ before}·ask size before. Cont, Kukanov, "
        "Stoikov 2014, *J. Financial Econometrics* 12(1)",
        "the future: it goes with the price's move of the same window (R² .41 on AAPL at 10 s), "
        "hardly with the next (.0004). One huge quote can drown it",
        FLOW_LINE,
        "ofi",
        description="order flow imbalance, in sizes",
        is_brief=True,
        compare_place=1,
    ),
    Metric(
        "log_ofi",
        FLOW,
        "1",
        "Σ sign(e)·ln(1 + abs(e)/D̃), D̃ the ticker's median depth in force at the last whole "
        "second before the quote. After Su et al. 2021 (arXiv 2112.02947). Absent while any quote "
        "of the window came before D̃ was known",
        "the future, as `ofi`; no single quote can drown it",
        FLOW_LINE,
        "log ofi",
        compare_place=1,
        compare_description="comparable between tickers",
    ),
    Metric(
        "realized_volatility_bps",
        SPREAD_AND_MID,
        "bp",
        "10⁴·√(Σ r²), r = ln of the ratio of mids last seen at successive whole seconds, "
        "k = W … 0, from the first at which there is one; two at least. On a one-second grid "
        "because sums over single quotes are 22–55 % too high (Zhang, Mykland, Aït-Sahalia 2005)",
        "a rate: it grows with the window and is not annualised",
        FLOW_LINE,
        "volatility bp",
        compare_place=2,
    ),
    Metric(
        "price_velocity",
        QUOTES,
        "price/s",
        "abs(M at `as_of` − M at the window's start) over the covered seconds",
        "direction and the way between",
        FLOW_LINE,
        "velocity/s",
        is_detail=True,
    ),
    Metric(
        "size_turnover",
        SIZES,
        "shares/s",
        "Σ abs(Δ size) over the window's quotes, each side where its price is unchanged and size "
        "shows before and after, over the covered seconds",
        "whether size traded or was withdrawn",
        FLOW_LINE,
        "turnover/s",
    ),
    Metric(
        "trade_count",
        TRADES,
        "1",
        "prints stamped in the window",
        "how many orders: one can print many times",
        TRADES_LINE,
        "count",
        is_count=True,
    ),
    Metric(
        "buy_volume",
        TRADES,
        SHARES,
        "volume by buying aggressors",
        WHOSE_VOLUME,
        TRADES_LINE,
        "by buyers",
        description="by buying aggressors",
    ),
    Metric(
        "sell_volume",
        TRADES,
        SHARES,
        "volume by selling aggressors",
        WHOSE_VOLUME,
        TRADES_LINE,
        "by sellers",
        description="by selling aggressors",
    ),
    Metric(
        "unsigned_volume",
        TRADES,
        SHARES,
        "volume whose aggressor is neither given nor inferred",
        "",
        TRADES_LINE,
        "unsigned",
        is_detail=True,
    ),
    Metric(
        "signed_volume",
        TRADES,
        SHARES,
        "`buy_volume` − `sell_volume`",
        "",
        TRADES_LINE,
        "net",
    ),
    Metric(
        "trade_imbalance",
        TRADES,
        RATIO,
        "`signed_volume`/(`buy_volume` + `sell_volume`)",
        "how much volume that is",
        TRADES_LINE,
        "imbalance",
        is_brief=True,
        brief_digits=3,
        compare_place=1,
        compare_description="-1..1; absent without trades",
    ),
    Metric(
        "vwap",
        TRADES,
        PRICE,
        "Σ price·size/Σ size over all prints",
        "",
        TRADES_LINE,
        "vwap",
        digits=PRECISE_DIGITS,
    ),
    Metric(
        "effective_spread_bps",
        TRADES,
        "bp of mid",
        "Σ size·10⁴·2·d·(price − M)/M / Σ size over signed prints, M of the valid quote before "
        "the print",
        "costs of orders that did not trade; sign errors bias it",
        TRADES_LINE,
        "effective bp",
    ),
    Metric(
        "inside_volume",
        TRADES,
        SHARES,
        "volume printed strictly between bid and ask of the quote before",
        "whether it was hidden or on another venue",
        TRADES_LINE,
        "inside",
        description="inside the spread",
        is_detail=True,
    ),
)

WORDS: Final = {row.name: row.words for row in METRICS if row.words}
"""The words that a metric may say, by its name."""

NUMBERS: Final = frozenset(row.name for row in METRICS if not row.words)

UNIT_OF: Final = {row.name: row.unit for row in METRICS}

RANKED: Final = (
    "spread_bps",
    "queue_imbalance",
    "ofi",
    "log_ofi",
    "trade_imbalance",
    "signed_volume",
    "realized_volatility_bps",
    "quotes_per_second",
    "trade_count",
    "size_turnover",
    "avg_bid_size",
    "avg_ask_size",
    "effective_spread_bps",
)
"""The metrics whose rank in the ticker's own past is published (`ranks`)."""

SHOWN: Final = tuple(row for row in METRICS if row.line)
"""Metrics as answers list them: those of the tick have places of their own there."""

DETAILS: Final = frozenset(row.name for row in SHOWN if row.is_detail)

BRIEF: Final = tuple(row.name for row in SHOWN if row.is_brief)

COMPARED: Final = tuple(sorted((row for row in SHOWN if row.compare_place), key=_compare_place))

DIGITS: Final = {row.name: row.digits for row in METRICS} | {MID: PRECISE_DIGITS}
BRIEF_DIGITS: Final = {row.name: row.brief_digits for row in METRICS if row.brief_digits}


def text_lines() -> list[tuple[str, list[tuple[str, list[str]]]]]:
    """Return the lines of a text with their labels in order, and the metrics of each label."""
    lines: list[tuple[str, list[tuple[str, list[str]]]]] = []
    for line in LINES:
        rows = sorted((row for row in SHOWN if row.line == line), key=_place)
        labels: dict[str, list[str]] = {}
        for row in rows:
            labels.setdefault(row.label, []).append(row.name)
        lines.append((line, list(labels.items())))
    return lines
