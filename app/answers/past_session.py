"""Where a ticker's session stood at an earlier moment, from what is kept.

The session is published as of now, and kept as of its end: its numbers at a moment before are
reckoned from what each second traded. Nothing that came later is in them.
"""

from collections.abc import Mapping
from typing import Final

from app.analysis.bars import SECOND_MS
from app.analysis.trading_hours import HALF_HOUR_MS, PRE, SessionPhase
from app.answers.reader import Reader
from app.answers.series import measured
from app.answers.ticker_read import SecondTable
from app.storage.published import Value

RANGE_NAMES: Final = ("opening_range_low", "opening_range_high")
_UNCOVERED_SECONDS: Final = 1.0
_VOLUMES: Final = ("buy_volume", "sell_volume", "unsigned_volume")

Fields = dict[str, Value]


def session_at(reader: Reader, ticker: str, at_ms: int) -> Fields:
    """Return the session's published fields as of a whole second, those that can be known.

    After its close that is all of them. Raises as `Reader.table` does.
    """
    phase = reader.past.hours(ticker).at(at_ms)
    fields: Fields = {"calendar": reader.past.hours(ticker).name, "phase": phase.phase}
    fields["as_of"] = at_ms
    if not phase.opened_at:
        return fields
    fields |= {"opened_at": phase.opened_at, "closes_at": phase.closes_at}
    until_ms = min(at_ms, phase.closes_at)
    if phase.phase == PRE or until_ms <= phase.opened_at:
        return fields
    kept = _kept_session(reader, ticker, phase)
    if until_ms == phase.closes_at <= _as_of(kept):
        return kept | fields
    return fields | _sums_until(reader, ticker, phase, until_ms, kept) | _range(kept, until_ms)


def _kept_session(reader: Reader, ticker: str, phase: SessionPhase) -> Fields:
    """Return the newest form that is kept of a session, empty where none is."""
    for found in (reader.session(ticker), reader.past.session(ticker, phase.closes_at - 1)):
        if found.get("opened_at") == phase.opened_at:
            return found
    return {}


def _sums_until(
    reader: Reader, ticker: str, phase: SessionPhase, until_ms: int, kept: Mapping[str, Value]
) -> Fields:
    """Return volume, CVD and VWAP: from all seconds since the open, else back from a later state.

    Where neither is kept whole, they are of what is kept, and `since` says from when.
    """
    seconds = (until_ms - phase.opened_at) // SECOND_MS
    table = reader.table(ticker, until_ms, seconds)
    if not _is_whole(table, until_ms, seconds):
        earlier = _back_from(reader, ticker, min(_as_of(kept), phase.closes_at), until_ms, kept)
        if earlier is not None:
            return earlier
    return _sums(table, until_ms, seconds) | _first_seen(table, until_ms, seconds)


def _back_from(
    reader: Reader, ticker: str, known_ms: int, until_ms: int, kept: Mapping[str, Value]
) -> Fields | None:
    """Take what traded after a moment from a later state; None where that is not kept whole."""
    seconds = (known_ms - until_ms) // SECOND_MS
    if seconds <= 0:
        return None
    table = reader.table(ticker, known_ms, seconds)
    if not _is_whole(table, known_ms, seconds):
        return None
    later = _sums(table, known_ms, seconds)
    cvd, volume, vwap = (_number(kept.get(name)) for name in ("cvd", "volume", "vwap"))
    left = volume - _number(later.get("volume"))
    if left <= volume * 1e-9:
        return None
    notional = volume * vwap - _number(later.get("volume")) * _number(later.get("vwap"))
    since = {name: kept[name] for name in ("since", "open") if name in kept}
    earlier: Fields = {"cvd": cvd - _number(later.get("cvd")), "volume": left}
    return earlier | {"vwap": notional / left} | since


def _sums(table: SecondTable, end_ms: int, seconds: int) -> Fields:
    """Return volume, CVD and VWAP of some seconds; none where nothing traded."""
    metrics = measured(table, end_ms, seconds)
    volume = sum(_number(metrics.get(name)) for name in _VOLUMES)
    if not volume:
        return {}
    cvd = _number(metrics.get("buy_volume")) - _number(metrics.get("sell_volume"))
    return {"volume": volume, "cvd": cvd, "vwap": _number(metrics.get("vwap"))}


def _is_whole(table: SecondTable, end_ms: int, seconds: int) -> bool:
    """Return whether all of some seconds was seen."""
    covered = _number(measured(table, end_ms, seconds).get("covered_seconds"))
    return covered >= seconds - _UNCOVERED_SECONDS


def _first_seen(table: SecondTable, end_ms: int, seconds: int) -> Fields:
    """Return from when on the session was seen, where that is after its open."""
    stood = table.bars.column("stood", end_ms, seconds)
    seen = next((len(stood) - place for place, one in enumerate(stood) if one), 0)
    return {"since": end_ms - seen * SECOND_MS} if 0 < seen < seconds else {}


def _range(kept: Mapping[str, Value], until_ms: int) -> Fields:
    """Return the opening range once it could not change any more: it was the same then."""
    over_ms = _number(kept.get("opened_at")) + HALF_HOUR_MS
    if not kept or min(until_ms, _as_of(kept)) < over_ms:
        return {}
    return {name: kept[name] for name in RANGE_NAMES if name in kept}


def _as_of(kept: Mapping[str, Value]) -> int:
    return int(_number(kept.get("as_of")))


def _number(value: Value | None) -> float:
    return float(value) if isinstance(value, (int, float)) else 0.0
