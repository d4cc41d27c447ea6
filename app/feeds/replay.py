"""Replay of tapes: records with stamps of now."""

import math
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from heapq import merge
from operator import attrgetter
from pathlib import Path
from urllib.parse import unquote

from app.core.errors import TapeError
from app.core.tickers import parse_ticker
from app.feeds.formats import CSV, FORMATS, format_of
from app.feeds.publish import ScheduledRecord
from app.feeds.tape import Tape
from app.feeds.tape_clock import read_usable_tape

_NAME = re.compile(r"(?P<stem>.*?)\.?(?P<kind>quotes|trades)?(?P<end>\.csv(?:\.gz)?)")


@dataclass(frozen=True, slots=True)
class TapeFiles:
    """The files of one ticker's tape."""

    ticker: str
    quotes: Path
    trades: Path | None
    form: str = CSV
    name: str | None = None
    """The ticker's name in the files, where they are of another's format."""


@dataclass(frozen=True, slots=True)
class ReplayPass:
    """One replay of a tape from start to end, with the shift added to its stamps."""

    ticker: str
    number: int
    shift_ms: int
    records: int


def find_tapes(
    paths: Iterable[Path], ticker: str | None = None, form: str | None = None
) -> list[TapeFiles]:
    """Pair each file of quotes with the trades beside it; the file names the ticker, or its name.

    `ticker` names the one tape's, or chooses one of those in a file. `form` is the files' format,
    if it was given.

    Raises `TapeError` unless that gives one tape per ticker.
    """
    found = list(dict.fromkeys(one for path in paths for one in _tapes_of(path, form)))
    if ticker is not None:
        chosen = [one for one in found if one.name == ticker] or found
        if len(chosen) > 1:
            raise TapeError(
                f"one ticker, {ticker}, is named for {len(found)} tapes; allowed is one tape"
            )
        return [replace(one, ticker=parse_ticker(ticker)) for one in chosen]
    tapes: dict[str, TapeFiles] = {}
    for one in found:
        name = parse_ticker(one.ticker)
        if name in tapes:
            raise TapeError(
                f"{tapes[name].quotes} and {one.quotes} are both of {name}; "
                "allowed is one tape a ticker"
            )
        tapes[name] = replace(one, ticker=name)
    return list(tapes.values())


def _tapes_of(path: Path, given: str | None) -> Iterator[TapeFiles]:
    """Yield the tapes of a file: one a ticker in it."""
    form = format_of(path, given)
    if form == CSV:
        quotes = _quotes_path(path)
        yield TapeFiles(_ticker_of(quotes), quotes, _trades_path(quotes))
        return
    quotes, trades = FORMATS[form].files_beside(path)
    for name in FORMATS[form].tickers_in(quotes):
        yield TapeFiles(name, quotes, trades, form, name)


def _name_parts(path: Path) -> re.Match[str]:
    parts = _NAME.fullmatch(path.name)
    if parts is None:
        raise TapeError(
            f"{path}: a tape's name ends in .quotes.csv[.gz], its trades' in .trades.csv[.gz]"
        )
    return parts


def _ticker_of(path: Path) -> str:
    """Return the name up to its first `_` or `.quotes`, percent-decoded.

    >>> _ticker_of(Path("AAPL_2012-06-21.quotes.csv.gz")), _ticker_of(Path("BTC%2FUSD.quotes.csv"))
    ('AAPL', 'BTC/USD')
    """
    return unquote(_name_parts(path)["stem"].split("_")[0])


def _quotes_path(path: Path) -> Path:
    return _sibling(path, "trades", "quotes") or path


def _trades_path(path: Path) -> Path | None:
    trades = _sibling(path, "quotes", "trades")
    return trades if trades is not None and trades.exists() else None


def _sibling(path: Path, kind: str, other: str) -> Path | None:
    parts = _name_parts(path)
    if parts["kind"] != kind:
        return None
    head = path.name[: parts.start("kind")]
    return path.with_name(f"{head}{other}{parts['end']}")


def read_tapes(tapes: list[TapeFiles], stamps: str | None = None) -> dict[str, Tape]:
    """Read the tapes by ticker; `stamps` is the unit of their stamps that was given.

    Raises `TapeError` where one can't be read, has no clock to believe or no usable record.
    """
    return {
        files.ticker: read_usable_tape(
            files.quotes, files.trades, 0, stamps, files.form, files.name
        )
        for files in tapes
    }


@dataclass(frozen=True, slots=True)
class Replay:
    """How tapes are replayed: the clock, the speed, and whether to repeat.

    At a speed other than 1, the time since a tape's first whole second is divided by it.
    `on_pass_start` is called at the start of each pass.
    """

    now_ms: Callable[[], float]
    on_pass_start: Callable[[ReplayPass], None]
    speed: float = 1.0
    loop: bool = False

    def scheduled_records(self, tapes: dict[str, Tape]) -> Iterator[ScheduledRecord]:
        """Yield the tapes' records with shifted stamps, in the order in which they are due.

        Each tape starts now; a shift of whole seconds keeps its whole seconds whole.
        """
        streams = (self._passes(ticker, tape) for ticker, tape in tapes.items())
        return merge(*streams, key=attrgetter("due_ms"))

    def _passes(self, ticker: str, tape: Tape) -> Iterator[ScheduledRecord]:
        records = tape.records
        seqs_per_pass = max(record.seq for record in records) + 1
        first_ms, earliest_ms = records[0].stamp, self.now_ms()
        passes_done = 0
        while passes_done == 0 or self.loop:
            shift_ms = whole_second_shift(first_ms, earliest_ms)
            self.on_pass_start(ReplayPass(ticker, passes_done + 1, shift_ms, len(records)))
            stamp = first_ms
            gaps = [gap for gap in tape.gaps if gap[1] > first_ms]
            for record in records:
                stamp = self._scale_stamp(record.stamp, first_ms) + shift_ms
                gap = None
                if gaps and gaps[0][1] <= record.stamp:
                    start, end = (self._scale_stamp(it, first_ms) + shift_ms for it in gaps.pop(0))
                    gap = start, end
                seq = record.seq + passes_done * seqs_per_pass
                shifted = replace(record, stamp=stamp, seq=seq)
                yield ScheduledRecord(stamp, ticker, shifted, tape.digits, gap)
            earliest_ms = max(self.now_ms(), stamp)
            passes_done += 1

    def _scale_stamp(self, stamp: float, first_ms: float) -> float:
        if self.speed == 1.0:
            return stamp
        origin_ms = 1000.0 * math.floor(first_ms / 1000.0)
        return origin_ms + (stamp - origin_ms) / self.speed


def whole_second_shift(first_stamp: float, start_ms: float) -> int:
    """Return the least shift of whole seconds, in ms, from `first_stamp` to `start_ms` or later."""
    return 1000 * math.ceil((start_ms - first_stamp) / 1000.0)
