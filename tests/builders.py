"""Builders of records that take only what a test is about."""

from app.analysis.records import Quote, Trade

START_MS = 1_700_000_000_000
UNITS = 100_000_000


def quote(  # noqa: PLR0913 - a quote is its six fields
    *,
    at: float = 0.0,
    bid: float = 10.00,
    bid_size: float = 100,
    ask: float = 10.05,
    ask_size: float = 100,
    seq: int = 0,
) -> Quote:
    """Build a quote stamped `at` seconds after the start."""
    bid_price, ask_price = round(bid * UNITS), round(ask * UNITS)
    return Quote(START_MS + at * 1000, seq, bid_price, bid_size, ask_price, ask_size)


def trade(
    *, at: float = 0.0, price: float = 10.05, size: float = 100, aggressor: str = "", seq: int = 0
) -> Trade:
    """Build a print; without an aggressor, as from a feed that names none."""
    side = {"buy": 1, "sell": -1, "": 0}[aggressor]
    return Trade(START_MS + at * 1000, seq, round(price * UNITS), size, side)


def stream(*records: Quote | Trade) -> list[Quote | Trade]:
    """Put records into the order of their stamps and number them; ties stay as given."""
    ordered = sorted(records, key=lambda record: record.stamp)
    for seq, record in enumerate(ordered):
        record.seq = seq
    return ordered


def second(number: float) -> int:
    """Name the instant `number` seconds after the start, in ms."""
    return START_MS + round(number * 1000)
