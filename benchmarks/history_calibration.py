"""How well numbers over earlier kept sessions hold what they say, on simulated sessions.

    python -m benchmarks.history_calibration [--ticker AAPL] [--sessions 60] [--folder DIR]

Each session is the first hour of a day that is busy and restless in its own way. The ranks of a
session's windows among the same half hours of the sessions before it have to be .95 or more, and
.05 or less, in about 5 % of cases each. The intervals of what followed events, moved to times that
say nothing, have to hold the baseline 95 times of 100: those of a session, type and side move
together by a random time (`shifted`), or each to a second of its own (`scattered`).
"""

import tempfile
from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import date
from pathlib import Path

import click
import numpy as np

from app.analysis.outcome_table import outcome_rows
from app.analysis.outcomes import HORIZON_SECONDS, OutcomeTotals
from app.analysis.trading_hours import HALF_HOUR_MS, TradingHours
from app.answers.half_hour import VOLUME, past_of, rank_among
from app.answers.kept_past import measures_of_half_hour
from app.history.query import read_mids, read_noticed
from app.history.reader import HistoryReader
from app.history.session_outcomes import NoticedEvents, SessionMids, add_up, session_outcomes
from app.storage.session_calendars import hours_of
from benchmarks.simulated_sessions import keep_sessions, opens

WINDOWS = (10, 60, 300)
EARLIER = (5, 10, 20)
SECONDS = 3600
HIGH, LOW = 0.95, 0.05
Measures = list[dict[str, float]]


def ranks_among(earlier: int, sessions: Sequence[Measures]) -> Iterator[float]:
    """Yield the ranks of each session's windows among so many sessions before it."""
    for place in range(earlier, len(sessions)):
        past = past_of(sessions[place - earlier : place])
        for measures in sessions[place] if past is not None else ():
            fields = measures | {"buy_volume": measures.get(VOLUME, 0.0)}
            fields |= {"sell_volume": 0.0, "unsigned_volume": 0.0}
            yield from rank_among(past, fields).ranks.values()


def print_ranks(files: HistoryReader, ticker: str, starts: Sequence[int]) -> None:
    """Print the share of ranks in either tail, by window and number of sessions before."""
    for seconds in WINDOWS:
        by_half_hour = [
            [measures_of_half_hour(files, ticker, at + shift, seconds) for at in starts]
            for shift in range(0, SECONDS * 1000, HALF_HOUR_MS)
        ]
        for earlier in EARLIER:
            ranks = np.array([it for one in by_half_hour for it in ranks_among(earlier, one)])
            if len(ranks):
                click.echo(
                    f"ranks of {seconds} s among {earlier} sessions: >= .95 "
                    f"{(ranks >= HIGH).mean():.1%}, <= .05 {(ranks <= LOW).mean():.1%} "
                    f"of {len(ranks)}, mean {ranks.mean():.3f}"
                )


class Session:
    """The mids of a session, and in which of its seconds events were noticed."""

    def __init__(self, files: HistoryReader, ticker: str, day: date) -> None:
        self._hours: TradingHours = hours_of(ticker, ())
        self._mids: SessionMids = read_mids(files.folder, ticker, day)
        found = read_noticed(files.folder, ticker, day)
        noticed = NoticedEvents([], np.zeros(0, np.int64)) if found is None else found
        self._keys = noticed.keys
        self._kinds = np.unique([*self._keys], return_inverse=True)[1]
        self._rows = np.searchsorted(self._mids.ends, noticed.noticed_at)

    def redrawn(self, draw: np.random.Generator, way: str) -> OutcomeTotals:
        """Return the outcomes of the session's events at other times."""
        ends = self._mids.ends
        if way == "scattered":
            rows = draw.integers(len(ends), size=len(self._rows))
        else:
            shifts = draw.integers(len(ends), size=len(self._rows) + 1)
            rows = (self._rows + shifts[self._kinds]) % len(ends)
        events = NoticedEvents(self._keys, ends[rows])
        return session_outcomes(self._mids, events, self._hours)


def print_intervals(sessions: Sequence[Session], draws: int) -> None:
    """Print the share of intervals that hold the baseline, by horizon and number of sessions."""
    draw = np.random.default_rng(1)
    for earlier in EARLIER:
        if len(sessions) < earlier:
            continue
        for way in ("shifted", "scattered"):
            held: dict[int, list[bool]] = defaultdict(list)
            for _ in range(draws):
                first = draw.integers(len(sessions) - earlier + 1)
                group = sessions[first : first + earlier]
                _note_held(held, [one.redrawn(draw, way) for one in group])
            for seconds, found in held.items():
                click.echo(
                    f"intervals over {earlier} sessions, {way}, {seconds} s: "
                    f"{np.mean(found):.3f} of {len(found)}"
                )


def _note_held(held: dict[int, list[bool]], sessions: Sequence[OutcomeTotals]) -> None:
    for key in sorted({key for one in sessions for key in one.events}):
        totals = add_up(sessions, key)
        for place, seconds in enumerate(HORIZON_SECONDS):
            for found in outcome_rows(totals, place):
                row = found.row
                if "insufficient" not in row:
                    mean = row["baseline_mean_bps"]
                    held[seconds].append(row["low_bps"] <= mean <= row["high_bps"])


@click.command()
@click.option("--ticker", default="AAPL", show_default=True, help="Whose profile is simulated.")
@click.option("--sessions", default=60, show_default=True)
@click.option("--draws", default=60, show_default=True, help="Of other times, in each way.")
@click.option("--folder", type=click.Path(path_type=Path), help="Simulated before; else made.")
def main(ticker: str, sessions: int, draws: int, folder: Path | None) -> None:
    """Simulate, measure and print."""
    with tempfile.TemporaryDirectory() as name:
        home = folder or Path(name)
        if not home.is_dir() or not HistoryReader(home).dates(ticker):
            keep_sessions(home, ticker, sessions, SECONDS)
        files = HistoryReader(home)
        days = files.dates(ticker)[:sessions]
        starts = list(opens(ticker, len(days)))
        print_ranks(files, ticker, starts)
        print_intervals([Session(files, ticker, day) for day in days], draws)


if __name__ == "__main__":
    main()
