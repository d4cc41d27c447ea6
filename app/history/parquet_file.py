"""Read and write one Parquet file of the history.

A file is written whole under another name, flushed to the disk and renamed: whenever a process is
killed, there is the old file or the new one.
"""

import errno
import os
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from app.core.errors import HistoryFileNewer, HistoryFileUnreadable
from app.history.columns import DICTIONARY_COLUMNS, ENCODINGS, SCHEMAS, UNITS
from app.history.file_facts import (
    LAYOUT,
    METADATA_KEY,
    FileFacts,
    decode_facts,
    encode_facts,
    layout_of,
)
from app.history.paths import Kind, unfinished_path

ZSTD_LEVEL = 3
ROWS_A_GROUP = 7200
"""Two hours of seconds: a reader of a short time reads one or two groups."""


SOUGHT_COLUMNS = ("end", "noticed_at", "id", "type")
"""Columns by which a reader leaves out groups of rows."""


class HistoryFile(NamedTuple):
    """The rows of a file, and what it says of itself."""

    table: pa.Table
    facts: FileFacts


def write_file(path: Path, table: pa.Table, facts: FileFacts) -> None:
    """Write a file in one step.

    Raises `OSError`.
    """
    facts.layout, facts.units = LAYOUT, UNITS[facts.kind]
    schema = SCHEMAS[facts.kind].with_metadata({METADATA_KEY: encode_facts(facts)})
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = unfinished_path(path)
    try:
        with unfinished.open("wb") as file:
            _write_table(file, table.cast(schema))
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(path)
    except BaseException:
        with suppress(OSError):
            unfinished.unlink()
        raise
    _flush_folder(path.parent)


def _write_table(file: Any, table: pa.Table) -> None:  # noqa: ANN401 - a file
    names = set(table.column_names)
    pq.write_table(
        table,
        file,
        compression="zstd",
        compression_level=ZSTD_LEVEL,
        row_group_size=ROWS_A_GROUP,
        use_dictionary=[name for name in DICTIONARY_COLUMNS if name in names],
        column_encoding={name: how for name, how in ENCODINGS.items() if name in names},
        write_statistics=[name for name in SOUGHT_COLUMNS if name in names],
    )


def _flush_folder(folder: Path) -> None:
    """Make a rename last: without it a file may be gone after a power failure."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def read_facts(path: Path, kind: Kind) -> FileFacts:
    """Read what a file says of itself, without its rows.

    Raises `HistoryFileUnreadable`, or the system's `OSError`.
    """
    try:
        metadata = pq.read_metadata(path).metadata or {}
    except (pa.ArrowException, OSError) as error:
        raise _described(path, error) from None
    return _checked_facts(path, kind, metadata)


def read_file(
    path: Path,
    kind: Kind,
    columns: list[str] | None = None,
    filters: Any = None,  # noqa: ANN401
) -> HistoryFile:
    """Read a file, all of it or some columns and rows (`filters` as pyarrow has them).

    Columns that its layout did not have are null. Raises `HistoryFileUnreadable`, or the
    system's `OSError`.
    """
    facts = read_facts(path, kind)
    wanted = [name for name in SCHEMAS[kind].names if columns is None or name in columns]
    try:
        file_columns = set(pq.read_schema(path).names)
        found = [name for name in wanted if name in file_columns]
        # One file, not a dataset: no column is made of the folder's name.
        table = pq.read_table(path, columns=found, filters=filters, partitioning=None)
        for name in wanted:
            if name not in file_columns:
                missing = pa.nulls(table.num_rows, SCHEMAS[kind].field(name).type)
                table = table.append_column(name, missing)
        rows = table.select(wanted).cast(pa.schema([SCHEMAS[kind].field(it) for it in wanted]))
    except (pa.ArrowException, OSError) as error:
        raise _described(path, error) from None
    return HistoryFile(rows.replace_schema_metadata(None), facts)


def _described(path: Path, error: Exception) -> Exception:
    """Return the system's errors as they are, and what is wrong in a file as one that names it.

    A file may be whole that can't be opened or read at present. pyarrow raises `OSError` for both;
    only the system's have a number.
    """
    if isinstance(error, MemoryError):
        return OSError(errno.ENOMEM, os.strerror(errno.ENOMEM), str(path))
    if isinstance(error, OSError) and error.errno:
        return error
    first_line = str(error).splitlines()[0] if str(error) else ""
    return HistoryFileUnreadable(
        f"{path} can't be read: {type(error).__name__}: {first_line[:200]}"
    )


def _checked_facts(path: Path, kind: Kind, metadata: dict[bytes, bytes]) -> FileFacts:
    text = metadata.get(METADATA_KEY, b"")
    try:
        layout = layout_of(text)
        if layout > LAYOUT:
            raise HistoryFileNewer(
                f"{path} has layout {layout}, of a newer version; this one reads up to {LAYOUT}"
            )
        facts = decode_facts(text)
    except msgspec.MsgspecError:
        raise HistoryFileUnreadable(f"{path} is no file of this history") from None
    if facts.kind != kind:
        raise HistoryFileUnreadable(f"{path} holds {facts.kind}, not {kind}")
    return facts
