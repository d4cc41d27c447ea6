"""Let Celery's commands start where stdout takes nothing: a full disk, a pipe without a reader."""

import io
import sys
from contextlib import suppress


class _Banners(io.TextIOWrapper):
    """Text that is left out if it can't be written."""

    def write(self, text: str, /) -> int:
        with suppress(OSError):
            super().write(text)
        return len(text)

    def flush(self) -> None:
        with suppress(OSError):
            super().flush()


def leave_out_what_can_not_be_written() -> None:
    """Replace stdout: Celery prints its banners there, and an error of that ends it (5.7)."""
    if isinstance(sys.stdout, io.TextIOWrapper) and sys.stdout is sys.__stdout__:
        raw = io.FileIO(sys.stdout.fileno(), "w", closefd=False)
        # Not by a buffer, which would fail again with what it kept.
        banners = _Banners(raw, sys.stdout.encoding, sys.stdout.errors, write_through=True)
        sys.stdout = sys.__stdout__ = banners  # type: ignore[misc]
