"""Where a wait goes on: behind an answer, by its id, or behind a moment."""

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import msgspec

from app.answers.as_of_argument import parse_moment
from app.core.errors import BadMoment
from app.waiting.condition import Condition
from app.waiting.watch import TickerCursor

CURSORS = "cursors"
"""The name under which an answer's cursors are archived beside its text and JSON."""
_ANSWER_ID = re.compile(r"[a-z2-7]{8}")


class _Cursors(msgspec.Struct):
    """How far an answer looked, by ticker, and by which condition what was met is known."""

    condition: str
    tickers: dict[str, TickerCursor]


_decoder = msgspec.json.Decoder(_Cursors)


def pack_cursors(condition: Condition, cursors: Mapping[str, TickerCursor]) -> bytes:
    """Return cursors as they are archived."""
    return msgspec.json.encode(_Cursors(str(condition), dict(cursors)))


def unpack_cursors(
    packed: bytes, condition: Condition, tickers: Iterable[str]
) -> dict[str, TickerCursor]:
    """Return the cursors of tickers; those by another condition, or of others, are moments.

    Raises `BadMoment` for what is no cursors.
    """
    try:
        found = _decoder.decode(packed)
    except msgspec.MsgspecError:
        raise BadMoment("where the wait stopped can't be read; begin with a time") from None
    if not found.tickers:
        return {}
    oldest = min(one.until_ms for one in found.tickers.values())
    known = found.tickers if found.condition == str(condition) else {}
    return {
        name: known.get(name)
        or TickerCursor(found.tickers[name].until_ms if name in found.tickers else oldest)
        for name in tickers
    }


def cursors_since(
    archived: Callable[[str], Mapping[str, bytes]],
    since: str,
    condition: Condition,
    tickers: Iterable[str],
    now_ms: float,
) -> dict[str, TickerCursor]:
    """Return where to go on; nothing where `since` is empty: from now on.

    `archived` returns an answer's renderings by its id. Raises `BadMoment` and what it raises.
    """
    text = since.strip()
    if not text:
        return {}
    if not _ANSWER_ID.fullmatch(text.lower()) or text.isdecimal():
        moment = parse_moment(text, now_ms, "since")
        return {} if moment is None else {name: TickerCursor(moment) for name in tickers}
    renderings = archived(text.lower())
    if CURSORS in renderings:
        return unpack_cursors(renderings[CURSORS], condition, tickers)
    moment = _moment_of(renderings.get("json", b""))
    return {name: TickerCursor(moment) for name in tickers}


def _moment_of(packed: bytes) -> int:
    """Return the moment that an answer of another tool tells of."""
    try:
        said: Any = msgspec.json.decode(packed)
    except msgspec.MsgspecError:
        said = None
    found = (said.get("as_of") or said.get("now")) if isinstance(said, dict) else None
    if not isinstance(found, int):
        raise BadMoment("this answer tells of no moment; begin with a time")
    return found
