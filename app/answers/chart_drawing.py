"""Draw a ticker's history: mid, spread, sizes, order flow imbalance, levels and events."""

import io
import math
import threading
from collections.abc import Iterator, Sequence

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from app.analysis.bars import SECOND_MS
from app.analysis.price_units import FLOAT_UNITS_PER_ONE
from app.analysis.rolling_bars import RollingBars
from app.answers.schema import flags_of
from app.answers.snapshot import TickerSnapshot
from app.history.window_table import WindowTable
from app.storage.published import EventRecord, LevelRecord

WIDTH_INCHES, HEIGHT_INCHES, DOTS_AN_INCH = 9.0, 6.0, 100
BID, ASK, NEUTRAL = "#1f6fb2", "#b2611f", "#444444"
MAX_LABELS = 8
RECENT_SHARE = 0.15
# Matplotlib's font and text caches are not thread-safe.
_drawing_lock = threading.Lock()


def warm_up() -> None:
    """Draw a small figure once, so that matplotlib loads its fonts, which takes a second."""
    with _drawing_lock:
        figure = Figure((1, 1))
        figure.subplots().set_ylabel("mid")
        FigureCanvasAgg(figure).draw()


def png_of(snapshot: TickerSnapshot, table: RollingBars | WindowTable) -> bytes:
    """Return a PNG of a snapshot's history, second by second."""
    with _drawing_lock:
        figure = Figure((WIDTH_INCHES, HEIGHT_INCHES), DOTS_AN_INCH)
        canvas = FigureCanvasAgg(figure)
        _draw(figure, snapshot, table)
        picture = io.BytesIO()
        canvas.print_png(picture)
    return picture.getvalue()


def _draw(figure: Figure, snapshot: TickerSnapshot, table: RollingBars | WindowTable) -> None:
    as_of_ms, seconds = snapshot.as_of_ms or 0, snapshot.history_seconds
    price, spread, size, flow = figure.subplots(4, 1, sharex=True, height_ratios=[4, 1, 1.5, 1.5])
    # Matplotlib's automatic layout would double the drawing time.
    figure.subplots_adjust(left=0.08, right=0.98, top=0.94, bottom=0.08, hspace=0.12)
    columns = Columns(table, as_of_ms, seconds)
    # A ticker may hold dollar signs, between which matplotlib would look for a formula.
    figure.suptitle(_title(snapshot), fontsize=9, parse_math=False)
    price.step(columns.ages, columns.mid(), color=NEUTRAL, lw=1, where="post")
    price.set_ylabel("mid")
    _levels(price, snapshot.levels)
    _events(price, snapshot.events or (), as_of_ms, seconds)
    spread.step(columns.ages, columns.spread(), color=NEUTRAL, lw=0.8)
    spread.set_ylabel("spread")
    size.step(columns.ages, columns.column("bid_size"), color=BID, lw=0.8, label="bid")
    size.step(columns.ages, columns.column("ask_size"), color=ASK, lw=0.8, label="ask")
    size.set_ylabel("size")
    size.legend(loc="upper left", fontsize=7, frameon=False, ncols=2)
    # One filled shape: 300 bars would take twice as long as everything else.
    ofi = [0.0 if math.isnan(value) else value for value in columns.column("ofi", zero_known=True)]
    flow.fill_between(columns.ages, ofi, step="mid", color=NEUTRAL, lw=0)
    flow.set_ylabel("OFI/s")
    flow.set_xlabel(f"seconds before {as_of_ms} (epoch ms)", fontsize=7)
    flow.set_xlim(-seconds, 0)
    for axes in (price, spread, size, flow):
        axes.yaxis.label.set_size(7)
        # Show whole prices, not offsets from a number above the axis.
        axes.ticklabel_format(axis="y", useOffset=False, style="plain")
        axes.tick_params(labelsize=7)
        axes.grid(visible=True, alpha=0.2)


def _title(snapshot: TickerSnapshot) -> str:
    age_seconds = (snapshot.now_ms - (snapshot.as_of_ms or snapshot.now_ms)) / SECOND_MS
    flags = flags_of(snapshot)
    heading = f"{snapshot.ticker}, last {snapshot.history_seconds} s, as of {age_seconds:.1f} s ago"
    evidence = f"evidence {snapshot.evidence_class}"
    return ", ".join([heading, evidence, *(flag.upper() for flag in flags)])


class Columns:
    """Columns of the bars with their ages in seconds; NaN leaves a gap in a line."""

    def __init__(self, table: RollingBars | WindowTable, as_of_ms: int, seconds: int) -> None:
        self._values = lambda name: table.column(name, as_of_ms, seconds)
        self._has_quote = self._values("stood")
        self._price_unit = 1 / FLOAT_UNITS_PER_ONE[table.digits]
        self.ages = [i + 1 - len(self._has_quote) for i in range(len(self._has_quote))]

    def column(self, name: str, unit: float = 1.0, *, zero_known: bool = False) -> list[float]:
        """Return a column times `unit`; NaN where unknown, and for 0 unless `zero_known`."""
        values = zip(self._values(name), self._has_quote, strict=True)
        return [v * unit if known and (v or zero_known) else math.nan for v, known in values]

    def mid(self) -> list[float]:
        """Return the mid at the end of each second."""
        return self.column("mid2", 0.5 * self._price_unit)

    def spread(self) -> list[float]:
        """Return the spread at the end of each second."""
        return self.column("spread", self._price_unit)


def _levels(axes: Axes, levels: Sequence[LevelRecord]) -> None:
    low, high = axes.get_ylim()
    for level in levels:
        if low <= level.price <= high:
            colour = BID if level.side == "bid" else ASK
            axes.axhline(level.price, color=colour, lw=0.6, ls=":", alpha=0.7)


def _events(axes: Axes, events: Sequence[EventRecord], as_of_ms: int, seconds: int) -> None:
    for i, event in enumerate(list(_labelled(events))):
        start = max(-seconds, (event.opened_at - as_of_ms) / SECOND_MS)
        end = 0.0 if event.closed_at is None else (event.closed_at - as_of_ms) / SECOND_MS
        colour = {"bid": BID, "ask": ASK}.get(event.side, NEUTRAL)
        axes.axvspan(start, max(end, start + 0.5), color=colour, alpha=0.08)
        axes.annotate(
            f"{event.type} {event.side}",
            (start, 0.97 - 0.06 * i),
            xycoords=axes.get_xaxis_transform(),
            fontsize=6,
            color=colour,
            va="top",
            # Labels of recent events end at their start: the right edge is too close.
            ha="right" if start > -seconds * RECENT_SHARE else "left",
        )


def _labelled(events: Sequence[EventRecord]) -> Iterator[EventRecord]:
    ranked = sorted(events, key=lambda event: (event.strength or 0, event.opened_at), reverse=True)
    yield from ranked[:MAX_LABELS]
