"""Leave states alone that a newer version of this project wrote, as long as it renews them."""

from typing import Final

import structlog

from app.analysis.bars import SECOND_MS
from app.core.errors import StateUnreadable
from app.storage.tick import codec

ABANDONED_MS: Final = 30 * SECOND_MS
"""A state that is not renewed for so long, and three intervals, has no newer worker any more."""

_log = structlog.stdlib.get_logger("orderflow.store")


class NewerStates:
    """The states of newer versions that this worker met, and since when each is unchanged."""

    def __init__(self, interval_ms: int) -> None:
        self._patience_ms = ABANDONED_MS + 3 * interval_ms
        self._seen: dict[str, tuple[str, int]] = {}
        self._is_said = False

    def owns(self, ticker: str, written_by: bytes, version: str, now_ms: int) -> bool:
        """Return whether a newer worker wrote a state, and may still renew it.

        Raises `StateUnreadable` where none does any more, and where the definitions are older.
        """
        numbers, own = _version_numbers(written_by), _version_numbers(codec.STATE_VERSION.encode())
        if numbers > own:
            if self._is_renewed(ticker, version, now_ms):
                return True
            raise StateUnreadable("a newer version wrote it, of which no worker is left")
        if numbers[:1] != own[:1]:
            raise StateUnreadable("its definitions are older ones")
        return False

    def _is_renewed(self, ticker: str, version: str, now_ms: int) -> bool:
        if not self._is_said:
            _log.warning(
                "a newer version wrote a state, which is left alone: end the older workers",
                ticker=ticker,
            )
            self._is_said = True
        known, since_ms = self._seen.get(ticker, ("", now_ms))
        if known != version:
            self._seen[ticker] = version, now_ms
            return True
        if now_ms - since_ms < self._patience_ms:
            return True
        del self._seen[ticker]
        return False


def _version_numbers(version: bytes) -> list[int]:
    """Return the numbers of a version, so that a greater list is a newer version.

    >>> _version_numbers(b"2.10") > _version_numbers(b"2.9") > _version_numbers(b"2")
    True
    """
    try:
        return [int(part) for part in version.decode().split(".")]
    except ValueError:
        raise StateUnreadable("no version of an engine") from None
