"""The history's folder: whether it can be used, who writes it, and how far it was read."""

import errno
import fcntl
import os
from contextlib import suppress
from pathlib import Path
from typing import Final

from app.core.errors import HistoryUnavailable
from app.history.paths import KINDS, UNFINISHED_SUFFIX, date_folder, kept_dates

LOCK_NAME: Final = ".writer.lock"
_READ_TO_NAME: Final = ".read_to"
_PROBLEM_OF_ERROR: Final = {
    errno.ENOSPC: "disk_full",
    errno.EDQUOT: "disk_full",
    errno.EFBIG: "disk_full",
    errno.EROFS: "read_only",
    errno.EACCES: "read_only",
    errno.EPERM: "read_only",
    errno.ENOENT: "missing",
    errno.ENOTDIR: "missing",
    errno.ESTALE: "missing",
}


def problem_of(error: OSError) -> str:
    """Return the name of what keeps a folder from being written (`history_report.PROBLEMS`).

    >>> problem_of(OSError(errno.ENOSPC, "No space left on device"))
    'disk_full'
    """
    return _PROBLEM_OF_ERROR.get(error.errno or 0, "io_error")


class HistoryFolder:
    """The folder of one writer, which holds its lock until it ends."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock: int | None = None

    def open(self) -> bool:
        """Make the folder ready and lock it, if it is not; return whether it was not.

        A folder is created where the one above it exists, but not anew once it was used: what is
        left of a disk that was taken away is not to be written.
        Raises `OSError`, or `HistoryUnavailable` where another writer holds the lock.
        """
        if self._lock is not None:
            if os.path.samestat(os.fstat(self._lock), (self.path / LOCK_NAME).stat()):
                return False
            self.close()  # another disk
        self.path.mkdir(exist_ok=True)
        descriptor = os.open(self.path / LOCK_NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            raise HistoryUnavailable(
                f"another process writes the history in {self.path}; one is enough"
            ) from None
        self._lock = descriptor
        return True

    def close(self) -> None:
        """Let another writer have the folder."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def remove_unfinished(self) -> int:
        """Remove what writers that were killed left; return how many files. Raises `OSError`."""
        removed = 0
        for kind in KINDS:
            for day in kept_dates(self.path, kind):
                for file in date_folder(self.path, kind, day).glob(f".*{UNFINISHED_SUFFIX}"):
                    file.unlink(missing_ok=True)
                    removed += 1
        return removed

    def read_to_ms(self) -> float:
        """Return up to when a former writer had read all tickers, 0 where it is not known."""
        try:
            return float((self.path / _READ_TO_NAME).read_text())
        except (OSError, ValueError):
            return 0.0

    def note_read_to(self, at_ms: float) -> None:
        """Store up to when all tickers are read. Raises `OSError`."""
        new = self.path / f"{_READ_TO_NAME}{UNFINISHED_SUFFIX}"
        try:
            new.write_text(f"{at_ms:.0f}\n")
            new.replace(self.path / _READ_TO_NAME)
        except OSError:
            with suppress(OSError):
                new.unlink()
            raise
