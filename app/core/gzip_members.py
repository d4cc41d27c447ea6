"""Files that grow by whole gzip members, each of whole lines.

A gzip file may consist of any number of members, which readers take as one text. A file that is
written a member at a time ends with a whole one, whenever its writer is killed, but for what the
last write did not finish; that is found here, and cut off before the file grows on. Where a part
of a file is damaged, the whole members behind it are read all the same, and none is cut off.
"""

import errno
import gzip
import zlib
from collections.abc import Iterator, Sequence
from io import RawIOBase
from os import strerror
from pathlib import Path
from typing import BinaryIO

_CHUNK_BYTES = 1 << 16
_MEMBER_START = b"\x1f\x8b\x08"
_LEVEL = 6  # 9, the default, takes six times as long for the same size
_GZIP_FORMAT = 16 + zlib.MAX_WBITS


class MemberFile:
    """A gzipped text file that grows by a member for each append."""

    def __init__(self, path: Path, header: str | None = None) -> None:
        self.path = path
        self._header = header
        self._is_checked = False

    def append(self, lines: Sequence[str]) -> None:
        """Append lines as one member, or nothing at all; the first time below any header.

        Raises `OSError`.
        """
        if not self._is_checked:
            cut_torn_end(self.path)
            self._is_checked = True
        with self.path.open("ab", buffering=0) as file:
            end = file.tell()
            header = [] if end or self._header is None else [self._header]
            text = "\n".join([*header, *lines, ""])
            try:
                _write_whole(file, gzip.compress(text.encode(), _LEVEL, mtime=0))
            except OSError:
                file.truncate(end)
                raise


def _write_whole(file: RawIOBase, data: bytes) -> None:
    """Write in one call: a disk that takes only a part of it is full."""
    if file.write(data) != len(data):
        raise OSError(errno.ENOSPC, strerror(errno.ENOSPC))


def cut_torn_end(path: Path) -> None:
    """Cut off what stands behind the last whole member of a file, if it exists."""
    if path.exists():
        whole = max((end for end, _ in _members(path)), default=0)
        if whole < path.stat().st_size:
            with path.open("r+b") as file:
                file.truncate(whole)


def whole_members(path: Path) -> Iterator[bytes]:
    """Yield the text of each whole member, and nothing of what is damaged."""
    return (text for _, text in _members(path))


def _members(path: Path) -> Iterator[tuple[int, bytes]]:
    """Yield where each whole member ends, and its text."""
    with path.open("rb") as file:
        start = _next_start(file, 0)
        while start is not None:
            member = _member_at(file, start)
            if member is not None:
                yield member
            start = _next_start(file, start + 1 if member is None else member[0])


def _next_start(file: BinaryIO, place: int) -> int | None:
    """Return where, from a place on, the next member may begin."""
    file.seek(place)
    seen = b""
    while chunk := file.read(_CHUNK_BYTES):
        seen = seen[1 - len(_MEMBER_START) :] + chunk
        found = seen.find(_MEMBER_START)
        if found >= 0:
            return file.tell() - len(seen) + found
    return None


def _member_at(file: BinaryIO, start: int) -> tuple[int, bytes] | None:
    """Return where the member at a place ends, and its text; None if it is not whole."""
    unzip = zlib.decompressobj(_GZIP_FORMAT)
    parts: list[bytes] = []
    file.seek(start)
    while chunk := file.read(_CHUNK_BYTES):
        try:
            parts.append(unzip.decompress(chunk))
        except zlib.error:
            return None
        if unzip.eof:
            return file.tell() - len(unzip.unused_data), b"".join(parts)
    return None
