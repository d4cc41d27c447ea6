"""The texts of `orderflow top`: a board's rows as cells, and the lines above them."""

from collections.abc import Sequence
from typing import Final

from app.answers.board import Board, BoardRow
from app.answers.durations import age, ago

COLUMNS: Final = (
    "ticker",
    "mid",
    "last 5 min",
    "bp",
    "spread",
    "quotes/s",
    "quote",
    "flags",
    "why",
)
UNKNOWN: Final = ""
SPARK_WIDTH: Final = 20
_BLOCKS: Final = "▁▂▃▄▅▆▇█"


def cells(row: BoardRow, mids: Sequence[float | None], now_ms: float) -> tuple[str, ...]:
    """Return a ticker's cells, in the order of `COLUMNS`; what is not known is empty."""
    quote = UNKNOWN if row.newest_quote_at is None else age((now_ms - row.newest_quote_at) / 1000)
    return (
        row.ticker,
        _number(row.mid),
        spark(mids),
        UNKNOWN if row.moved_bps is None else f"{row.moved_bps:+g}",
        _number(row.spread_bps),
        _number(row.quotes_per_second),
        quote,
        " ".join(_flag(name, row, now_ms) for name in row.flags),
        row.why,
    )


def _flag(name: str, row: BoardRow, now_ms: float) -> str:
    """Return a flag as answers have it; that of stopped ticks with the age of the last one."""
    old = f" {age((now_ms - row.as_of) / 1000)}" if name == "stale" and row.as_of else ""
    return name.upper().replace("_", " ") + old


def _number(value: object) -> str:
    return UNKNOWN if value is None else f"{value}"


def spark(mids: Sequence[float | None]) -> str:
    """Draw mids from their lowest to their highest; a blank where none is known.

    >>> spark([1.0, None, 2.0])
    '▁ █'
    >>> spark([5.0, 5.0])
    '▄▄'
    """
    step = max(1, len(mids) // SPARK_WIDTH)
    # Counted from the newest one, which is always shown.
    shown = list(mids)[::-1][::step][::-1][-SPARK_WIDTH:]
    known = [mid for mid in shown if mid is not None]
    if not known:
        return UNKNOWN
    low, span = min(known), max(known) - min(known)
    return "".join(" " if mid is None else _block(mid - low, span) for mid in shown)


def _block(height: float, span: float) -> str:
    top = len(_BLOCKS) - 1
    return _BLOCKS[round(height / span * top)] if span else _BLOCKS[top // 2]


def headline(board: Board, now_ms: float) -> str:
    """Return the line above the list: how many tickers, and how old what is shown is."""
    left_out = f", {board.not_read} not shown" if board.not_read else ""
    tick = "no tick yet" if board.as_of is None else f"tick {ago(board.as_of, now_ms)}"
    return f"{board.active} active{left_out} · {tick} · most unusual first"
