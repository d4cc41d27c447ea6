"""What ORDERFLOW_FEED names: checked before anything starts, since a feed's own lines scroll by."""

import csv
import gzip
import shlex
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO, cast

from app.core.errors import BadTicker, FeedInterrupted, FeedRefused, SettingError, TapeError
from app.feeds.live.sources import SOURCES, LiveRequest, is_live, parse_request

ALLOWED_FEEDS = (
    "simulate, none, live sources such as kraken:BTC/USD,ETH/USD with spaces between them, "
    "or files of tapes, separated by spaces or commas and quoted as in a shell"
)
SIMULATED_TICKER = "SPY"
"""The first of the tickers that `orderflow feed simulate` publishes by default."""


@dataclass(frozen=True, slots=True)
class FeedSetting:
    """The arguments of each `orderflow feed`, none without a feed, and the first ticker fed."""

    feeds: tuple[tuple[str, ...], ...] = ()
    first_ticker: str | None = None


Resolve = Callable[[LiveRequest], LiveRequest]


def _as_written(request: LiveRequest) -> LiveRequest:
    return request


def from_lists(feed_url: str | None) -> Resolve:
    """Return what finds the tickers that symbols mean, in the lists of the venues."""

    def resolve_request(request: LiveRequest) -> LiveRequest:
        # Imported late: its HTTP client is needed for live sources only.
        from app.feeds.live.listings import check_as_written, resolve  # noqa: PLC0415

        try:
            return resolve(request, feed_url)
        except FeedInterrupted as error:
            check_as_written(request, error)
            return request  # the feed tries it again, and logs it

    return resolve_request


def read_feed_setting(given: str, resolve: Resolve = _as_written) -> FeedSetting:
    """Return what ORDERFLOW_FEED names, with the tickers that `resolve` finds for its symbols.

    Raises `SettingError` where nothing is named, a quotation mark has no partner, a file is not
    there, is no tape, or can't be read, or a live source can't be asked for what is named, or not
    now; `FeedRefused` where a source has no such symbol.
    """
    try:
        return _setting_of(shlex.split(given), resolve)
    except FeedRefused as error:
        raise FeedRefused(f"ORDERFLOW_FEED={given!r} is refused: {error}") from None
    except FeedInterrupted as error:
        raise SettingError(f"ORDERFLOW_FEED={given!r} can't be asked for now: {error}") from None
    except (SettingError, TapeError, BadTicker, ValueError) as error:
        raise SettingError(
            f"ORDERFLOW_FEED={given!r} is not allowed: {error}; allowed: {ALLOWED_FEEDS}"
        ) from None


def _setting_of(words: Sequence[str], resolve: Resolve) -> FeedSetting:
    if words == ["none"]:
        return FeedSetting()
    requests = [_checked(word, resolve) for word in words if is_live(word)]
    _check_fed_once(requests)
    feeds: list[tuple[str, ...]] = [("live", str(request)) for request in requests]
    first = [request.tickers[0] for request in requests]
    others = [word for word in words if not is_live(word)]
    if "simulate" in others:
        others.remove("simulate")
        feeds.append(("simulate",))
        first.append(SIMULATED_TICKER)
    if others or not feeds:
        replay, ticker = _replay_of([file for word in others for file in _files_in(word)])
        feeds.append(replay)
        first.append(ticker)
    return FeedSetting(tuple(feeds), first[0])


def _replay_of(names: Sequence[str]) -> tuple[tuple[str, ...], str]:
    """Return the arguments that replay files of tapes, and the first one's ticker."""
    files = [Path(name).absolute() for name in names]
    ticker = _check_tapes(files)
    return ("replay", *map(str, files), "--loop"), ticker


def _checked(word: str, resolve: Resolve) -> LiveRequest:
    request = parse_request(word)
    request.check()
    return resolve(request)


def _check_fed_once(requests: Sequence[LiveRequest]) -> None:
    """Raise `SettingError` where two requests are for one ticker."""
    fed: dict[str, LiveRequest] = {}
    for request in requests:
        for ticker in request.tickers:
            other = fed.setdefault(ticker, request)
            if other is not request:
                raise SettingError(f"{ticker} is asked of both {other.name} and {request.name}")


def _files_in(word: str) -> Iterator[str]:
    """Yield the names in a word: one with commas in it, if there is such a file, else several."""
    if Path(word).exists():
        yield word
    else:
        yield from filter(None, word.split(","))


def _check_tapes(files: Sequence[Path]) -> str:
    """Return the first tape's ticker.

    Raises `TapeError` and `BadTicker` for what would end the feed as soon as it starts.
    """
    # Imported late: it imports pandas, which nothing else here needs.
    from app.feeds.formats import CSV  # noqa: PLC0415
    from app.feeds.replay import find_tapes  # noqa: PLC0415
    from app.feeds.tape_rows import QUOTE_COLUMNS, TRADE_COLUMNS  # noqa: PLC0415

    if not files:
        raise TapeError("nothing is named")
    for file in files:
        _check_readable(file)
    tapes = find_tapes(files)
    for tape in tapes:
        if tape.form != CSV:
            continue
        _check_columns(tape.quotes, QUOTE_COLUMNS)
        if tape.trades is not None:
            _check_columns(tape.trades, TRADE_COLUMNS)
    return tapes[0].ticker


def _check_readable(file: Path) -> None:
    if not file.exists():
        raise TapeError(f"{file}: there is no such file{_hint(str(file))}")
    if not file.is_file():
        raise TapeError(f"{file}: is no file")


def _hint(name: str) -> str:
    """Return what else a name that is no file may have been meant for."""
    return f", and no such live source ({', '.join(SOURCES)})" if ":" in name else ""


def _opened(file: Path) -> TextIO:
    if file.suffix == ".gz":
        return cast("TextIO", gzip.open(file, "rt", encoding="utf-8"))
    return file.open(encoding="utf-8")


def _check_columns(file: Path, columns: Sequence[str]) -> None:
    """Raise `TapeError` unless a file's first line names the columns and a row follows it."""
    try:
        with _opened(file) as lines:
            rows = csv.reader(lines)
            header, row = next(rows, []), next(rows, None)
    except (OSError, EOFError, UnicodeDecodeError, csv.Error, zlib.error) as error:
        raise TapeError(f"{file}: can't be read: {error}") from None
    missing = [name for name in columns if name not in header]
    if missing:
        raise TapeError(f"{file}: has no column {', '.join(missing)}")
    if row is None:
        raise TapeError(f"{file}: has no row")
