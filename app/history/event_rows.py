"""Turn events in their final form into rows of a file of events, and back, without loss."""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import msgspec
import pyarrow as pa

from app.history.columns import MOVE_COLUMNS, SCHEMAS
from app.storage.published import EventRecord

Moves = tuple[float | None, ...]
"""Moves of the mid in bp by horizon (`HORIZON_SECONDS`), None where one is not known."""
_TIMES = ("noticed_at", "updated_at")
_encode = msgspec.json.Encoder().encode
_decode: Any = msgspec.json.decode


class KeptEvent(NamedTuple):
    """An event in its final form, and what followed it."""

    record: EventRecord
    moves: Moves


def table_of_events(events: Iterable[KeptEvent]) -> pa.Table:
    """Return a table with a row an event, in the order in which they were noticed."""
    schema = SCHEMAS["events"]
    rows = [
        {
            **msgspec.structs.asdict(event.record),
            **{name: int(getattr(event.record, name)) for name in _TIMES},
            "evidence": _encode(event.record.evidence).decode(),
            **dict(zip(MOVE_COLUMNS, event.moves, strict=True)),
        }
        for event in sorted(events, key=_order)
    ]
    return pa.Table.from_pylist(rows, schema=schema)


def events_of_table(table: pa.Table) -> list[KeptEvent]:
    """Return the events of a table with all columns, in its order."""
    for name in _TIMES:
        place = table.schema.get_field_index(name)
        table = table.set_column(place, name, table[name].cast(pa.int64()))
    return [_event_of(row) for row in table.to_pylist()]


def _event_of(row: dict[str, Any]) -> KeptEvent:
    moves = tuple(row.pop(name) for name in MOVE_COLUMNS)
    row["evidence"] = _decode(row["evidence"])
    row["at_least"] = bool(row["at_least"])
    return KeptEvent(EventRecord(**row), moves)


def _order(event: KeptEvent) -> tuple[float, str]:
    return event.record.noticed_at, event.record.id


def ids_of_events(events: Sequence[KeptEvent]) -> set[str]:
    """Return the events' ids."""
    return {event.record.id for event in events}
