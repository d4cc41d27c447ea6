"""Write records as rows of tapes: the columns and texts that `tape.py` reads, without pandas."""

from app.analysis.price_units import DEFAULT_DIGITS, FLOAT_UNITS_PER_ONE, published_price
from app.analysis.record_schemas import AGGRESSOR_NAMES, NO_AGGRESSOR
from app.analysis.records import Quote, Record, Trade
from app.feeds.publish import QuoteMember, TradeMember

QUOTE_COLUMNS = ("ts_ms", "bid_price", "bid_size", "ask_price", "ask_size")
TRADE_COLUMNS = ("ts_ms", "price", "size")
QUOTE_HEADER = ",".join((*QUOTE_COLUMNS, "seq"))
TRADE_HEADER = ",".join((*TRADE_COLUMNS, "aggressor", "seq"))


def row_of(record: Record, digits: int = DEFAULT_DIGITS) -> str:
    """Return a record, its prices in 10^-digits, as a line of its tape; reading gives it back.

    A record without `seq` has an empty field there, so that its whole tape is numbered anew.

    >>> row_of(Trade(1340285400123.456, 16, 58594000000, 100.0, 1))
    '1340285400123.456,585.94,100.0,buy,16'
    """
    units_per_one = FLOAT_UNITS_PER_ONE[digits]
    seq = record.seq if record.seq >= 0 else ""
    if isinstance(record, Quote):
        bid = published_price(record.bid_price, units_per_one)
        ask = published_price(record.ask_price, units_per_one)
        return f"{record.stamp!r},{bid!r},{record.bid_size!r},{ask!r},{record.ask_size!r},{seq}"
    price = published_price(record.price, units_per_one)
    aggressor = AGGRESSOR_NAMES.get(record.aggressor, NO_AGGRESSOR)
    return f"{record.stamp!r},{price!r},{record.size!r},{aggressor},{seq}"


def row_of_member(member: QuoteMember | TradeMember) -> str:
    """Return a record as it is published, as a line of its tape.

    >>> row_of_member(TradeMember(1340285400123.456, 585.94, 100, None, 16))
    '1340285400123.456,585.94,100,unknown,16'
    """
    if isinstance(member, QuoteMember):
        return (
            f"{member.timestamp!r},{member.bid_price!r},{member.bid_size!r},"
            f"{member.ask_price!r},{member.ask_size!r},{member.seq}"
        )
    aggressor = member.aggressor or NO_AGGRESSOR
    return f"{member.timestamp!r},{member.price!r},{member.size!r},{aggressor},{member.seq}"


def stamp_of(row: str) -> float:
    """Return the stamp of a line that `row_of` wrote."""
    return float(row.partition(",")[0])


def header_of(kind: str) -> str:
    """Return the header of a file of quotes or of trades."""
    return QUOTE_HEADER if kind == "quotes" else TRADE_HEADER


def kind_of(record: Record | QuoteMember | TradeMember) -> str:
    """Return in which of a tape's files a record belongs."""
    return "trades" if isinstance(record, (Trade, TradeMember)) else "quotes"
