"""A tape accepts and refuses the same rows as the parser of a broker's records."""

import json
import math
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import example, given, settings
from hypothesis import strategies as st

from app.analysis.price_units import EXACT_DIGITS, in_other_unit
from app.analysis.record_parser import parse_quote, parse_trade
from app.analysis.record_schemas import MAX_PRICE, MAX_SIZE, MIN_SIZE
from app.analysis.records import Quote, Record
from app.core.errors import RecordRejected
from app.feeds.tape import Tape, read_tape

STAMP_MS = 1_704_196_800_000.0
QUOTE_FIELDS = ("bid_price", "bid_size", "ask_price", "ask_size")
TRADE_FIELDS = ("price", "size")
ORDINARY = (STAMP_MS, 10.0, 1.0, 11.0, 1.0)

Cells = tuple[float | None, ...]

edges = [0.0, -0.0, -1.0, MIN_SIZE, MAX_SIZE, MAX_PRICE, 1e-20, 5e-324, math.inf, -math.inf]
numbers = st.one_of(
    st.none(),
    st.sampled_from([*edges, *(math.nextafter(edge, 1e300) for edge in (MIN_SIZE, MAX_SIZE))]),
    st.sampled_from([math.nextafter(edge, 0.0) for edge in (MIN_SIZE, MAX_SIZE, MAX_PRICE)]),
    st.floats(0.01, 1e6),
    st.floats(allow_nan=False),
)
aggressors = st.sampled_from(["buy", "sell", "unknown", "BUY", ""])


def rows(width: int) -> st.SearchStrategy[list[Cells]]:
    return st.lists(st.tuples(*[numbers] * width), min_size=1, max_size=8)


def member(fields: tuple[str, ...], cells: Cells, **more: str) -> bytes:
    """Write cells as a broker's JSON; an infinity, which JSON lacks, as a string."""
    given_cells = {name: cell for name, cell in zip(fields, cells, strict=True) if cell is not None}
    written = {
        name: cell if math.isfinite(cell) else str(cell) for name, cell in given_cells.items()
    }
    return json.dumps(written | more).encode()


def csv(path: Path, header: tuple[str, ...], table: list[tuple[object, ...]]) -> Path:
    lines = [",".join("" if cell is None else str(cell) for cell in row) for row in table]
    path.write_text("\n".join([",".join(header), *lines]) + "\n")
    return path


def by_parser(
    members: list[bytes], *, trades: bool
) -> tuple[list[Record], list[tuple[float, str]]]:
    """Parse each member as if it had the stamp and number of its row."""
    records: list[Record] = []
    faults: list[tuple[float, str]] = []
    for place, text in enumerate(members):
        try:
            parse = parse_trade if trades else parse_quote
            record, _ = parse(text, STAMP_MS + place, EXACT_DIGITS)
        except RecordRejected as rejected:
            faults.append((STAMP_MS + place, rejected.reason))
        else:
            record.seq = len(records)
            records.append(record)
    return records, faults


def exact(tape: Tape) -> list[Record]:
    """Return a tape's records in the unit in which the parser was asked for them."""

    def units(price: int) -> int:
        return in_other_unit(price, tape.digits, EXACT_DIGITS)

    return [
        replace(record, bid_price=units(record.bid_price), ask_price=units(record.ask_price))
        if isinstance(record, Quote)
        else replace(record, price=units(record.price))
        for record in tape.records
    ]


@settings(max_examples=300, deadline=None)
@given(rows(4))
@example([(1e-16, 1.0, 9e10, 1.0), (9.723e-6, 1.0, 585.3300000000001, 1.0)])
@example([(1e-17, 1.0, 9.1e10, 1.0), (1 / 3e6, 1.0, 11.0, 1.0), (1 / 3e6, 0.0, 11.0, 1.0)])
@example([(10.0, 1e-20, 11.0, 1.0)])
@example([(math.inf, None, 11.0, 1.0)])
@example([(10.0, -0.0, 11.0, 1.0)])
def test_a_tape_of_quotes_and_the_parser_accept_and_refuse_alike(table: list[Cells]) -> None:
    expected, reasons = by_parser([member(QUOTE_FIELDS, row) for row in table], trades=False)
    stamped = [(STAMP_MS + place, *row) for place, row in enumerate(table)]

    with TemporaryDirectory() as folder:
        tape = read_tape(csv(Path(folder) / "q.csv", ("ts_ms", *QUOTE_FIELDS), stamped))

    # As text: -0.0 equals 0.0, and is another size.
    assert list(map(repr, exact(tape))) == list(map(repr, expected))
    assert tape.faults == reasons


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(numbers, numbers, aggressors), min_size=1, max_size=8))
@example([(10.0, 1e-20, "buy")])
@example([(1e-12, 1.0, "buy"), (8.9e10, 1.0, "buy"), (1e-17, 1.0, "buy"), (1.1e6 / 3, 1.0, "")])
@example([(math.inf, None, "buy")])
def test_a_tape_of_trades_and_the_parser_accept_and_refuse_alike(
    table: list[tuple[float | None, float | None, str]],
) -> None:
    members = [member(TRADE_FIELDS, row[:2], aggressor=row[2]) for row in table]
    expected, reasons = by_parser(members, trades=True)
    stamped: list[tuple[object, ...]] = [(STAMP_MS + n, *row) for n, row in enumerate(table)]

    with TemporaryDirectory() as folder:
        quotes = csv(
            Path(folder) / "q.csv", ("ts_ms", *QUOTE_FIELDS), [(STAMP_MS + 100, *ORDINARY[1:])]
        )
        trades = csv(Path(folder) / "t.csv", ("ts_ms", *TRADE_FIELDS, "aggressor"), stamped)
        tape = read_tape(quotes, trades)

    assert list(map(repr, exact(tape)[:-1])) == list(map(repr, expected))
    assert tape.faults == reasons
