"""How often the intervals of outcomes hold the baseline where the events tell nothing.

    python benchmarks/outcome_coverage.py QUOTES TRADES TICKER [SECONDS]

Finds a tape's events, and moves those of each type and side by a random time around the tape's
clock (`shifted`: they stay in their clusters), or each to a random second (`scattered`).
"""

import random
import sys
import time
from collections import defaultdict
from pathlib import Path

from app.analysis.bars import SECOND_MS
from app.analysis.engine import Engine
from app.analysis.outcome_table import outcome_rows
from app.analysis.outcomes import HORIZON_SECONDS, Outcomes
from app.analysis.trading_hours import TradingHours
from app.evaluation.analyze_tape import Ticks, tick_results
from app.feeds.tape import read_tape
from app.storage.session_calendars import hours_of


class EventsOfTape:
    """The mids of a tape by second, and the seconds at which its events were noticed."""

    def __init__(self, quotes: Path, trades: Path, ticker: str) -> None:
        self.hours: TradingHours = hours_of(ticker, ())
        tape = read_tape(quotes, trades)
        ticks = Ticks.of(tape, SECOND_MS)
        engine = Engine.new(ticker, self.hours)
        self.first, self.mids = ticks.first, []
        noticed: dict[str, tuple[str, int]] = {}
        for result in tick_results(engine, tape, ticks):
            self.mids.append(engine.state.context.mid2)
            for event in result.changed_events:
                noticed[event.id] = f"{event.type}|{event.side}", event.noticed_at
        self.seconds: dict[str, list[int]] = defaultdict(list)
        for key, at in noticed.values():
            self.seconds[key].append((at - self.first) // SECOND_MS)

    def redrawn(self, draw: random.Random) -> Outcomes:
        """Return the outcomes of events at other times."""
        length = len(self.mids)
        at: dict[int, list[str]] = defaultdict(list)
        for key, seconds in self.seconds.items():
            shift = draw.randrange(length)
            for second in seconds:
                at[(second + shift) % length].append(f"shifted:{key}")
                at[draw.randrange(length)].append(f"scattered:{key}")
        outcomes = Outcomes()
        for second, mid2 in enumerate(self.mids):
            end = self.first + second * SECOND_MS
            outcomes.close_second(end, mid2, self.hours)
            for key in at.get(second, ()):
                outcomes.note_event(key, end // SECOND_MS)
        outcomes.close_blocks()
        return outcomes


def main() -> None:
    """Print the share of intervals that hold the baseline, by way and horizon."""
    quotes, trades, ticker, *rest = sys.argv[1:]
    tape = EventsOfTape(Path(quotes), Path(trades), ticker)
    draw = random.Random(1)  # noqa: S311 - of a measurement
    until = time.monotonic() + float(rest[0] if rest else 60)
    held: dict[tuple[str, int], list[bool]] = defaultdict(list)
    while time.monotonic() < until:
        totals = tape.redrawn(draw).totals
        for place, seconds in enumerate(HORIZON_SECONDS):
            for it in outcome_rows(totals, place):
                if "insufficient" not in it.row:
                    mean = it.row["baseline_mean_bps"]
                    is_held = it.row["low_bps"] <= mean <= it.row["high_bps"]
                    held[it.type.partition(":")[0], seconds].append(is_held)
    for (way, seconds), found in sorted(held.items()):
        print(f"{way} {seconds} s: {sum(found) / len(found):.4f} of {len(found)}")


if __name__ == "__main__":
    main()
