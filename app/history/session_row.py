"""Turn a session into the one row of its file, and back, without loss."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import pyarrow as pa

from app.history.columns import SCHEMAS
from app.storage.published import Value

_TIMES = ("as_of", "opened_at", "closes_at")


class KeptSession(NamedTuple):
    """The published fields of a session, and whether they are as of its end."""

    fields: Mapping[str, Value]
    is_final: bool


def table_of_session(session: KeptSession) -> pa.Table:
    """Return a table with the session's row."""
    row = {**session.fields, "is_final": session.is_final}
    row |= {name: int(value) for name, value in session.fields.items() if name in _TIMES}
    return pa.Table.from_pylist([row], schema=SCHEMAS["sessions"])


def session_of_table(table: pa.Table) -> KeptSession | None:
    """Return the session of a table, None where it is empty."""
    for name in _TIMES:
        place = table.schema.get_field_index(name)
        table = table.set_column(place, name, table[name].cast(pa.int64()))
    rows: list[dict[str, Any]] = table.slice(0, 1).to_pylist()
    if not rows:
        return None
    is_final = bool(rows[0].pop("is_final"))
    known = {name: value for name, value in rows[0].items() if value is not None}
    return KeptSession(known, is_final)
