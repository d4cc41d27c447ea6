"""What a file of the history says of itself: JSON under `orderflow` in the Parquet metadata."""

from typing import Any

import msgspec

from app.analysis.gaps import Gap
from app.analysis.state import ENGINE
from app.history.paths import Kind

METADATA_KEY = b"orderflow"
LAYOUT = 1
"""Raise it with each change of columns; files of a higher number are left alone."""


class FileFacts(msgspec.Struct, kw_only=True):
    """The facts of one file; times in epoch ms.

    `engines` are the versions of the definitions that its rows were computed by, the newest last.
    `gaps` are times without records, by which its bars are to be cut (`RollingBars`). `lost` are
    times whose rows Redis had forgotten before they were written: nothing is known of them.
    `lost_bars` counts stored seconds that could not be decoded. `corrected_at` is when ticks were
    last taken back, as far as the rows tell of it (decision 17).
    """

    layout: int = LAYOUT
    kind: Kind
    ticker: str
    session_date: str
    calendar: str = ""
    engines: list[str] = msgspec.field(default_factory=lambda: [ENGINE])
    units: dict[str, str] = {}
    gaps: list[Gap] = []
    lost: list[tuple[float, float]] = []
    lost_bars: int = 0
    corrected_at: int = 0


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(FileFacts).decode
_decode_any: Any = msgspec.json.decode


def encode_facts(facts: FileFacts) -> bytes:
    """Write facts as JSON."""
    return _encode(facts)


def decode_facts(text: bytes) -> FileFacts:
    """Read facts.

    Raises `msgspec.MsgspecError`.
    """
    return _decode(text)


def layout_of(text: bytes) -> int:
    """Return the layout's number, also of facts that are otherwise unknown; 0 where there is none.

    Raises `msgspec.MsgspecError`.
    """
    found = _decode_any(text)
    layout = found.get("layout") if isinstance(found, dict) else None
    return layout if isinstance(layout, int) else 0
