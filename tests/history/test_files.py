"""A file of the history gives back what was written, byte for byte, and is whole or not there."""

from datetime import date
from random import Random

import pytest

from app.analysis.bars import Bar
from app.analysis.records import Quote
from app.core.errors import HistoryFileNewer, HistoryFileUnreadable
from app.history import file_facts
from app.history.bar_rows import bars_of_table, table_of_bars
from app.history.event_rows import KeptEvent, events_of_table, table_of_events
from app.history.file_facts import FileFacts
from app.history.parquet_file import read_facts, read_file, write_file
from app.history.paths import dates_of_ticker, file_path, kept_dates, tickers_of_date
from app.history.session_row import KeptSession, session_of_table, table_of_session
from app.storage.published import read_event
from app.storage.tick import codec

DAY = date(2026, 11, 30)


def facts_of(kind="seconds", ticker="SPY"):
    return FileFacts(kind=kind, ticker=ticker, session_date=DAY.isoformat())


def odd_bar(rng, end):
    """Return a bar with a number in every field, also such as need all bits of a double."""
    bar = Bar(end)
    for name in Bar.__dataclass_fields__:
        if name not in {"end", "first_quote", "quality", "digits"}:
            is_whole = isinstance(getattr(bar, name), int)
            setattr(bar, name, rng.randrange(10**6) if is_whole else rng.random() * 10.0**9)
    bar.bid_price, bar.ask_price, bar.mid2 = 9 * 10**18 - 1, 9 * 10**18, 18 * 10**18 - 1
    bar.spread = 1
    bar.digits = rng.choice((8, 10, 16))
    if rng.random() < 0.5:
        bar.first_quote = Quote(end - 0.123456789, -1, 10**18, 0.1, 10**18 + 1, 3.0)
    if rng.random() < 0.5:
        bar.quality = {"late": 3, "crossed": 1}
    return bar


def test_a_bar_comes_back_byte_for_byte(tmp_path):
    rng = Random(3)  # noqa: S311 - numbers to store
    bars = [odd_bar(rng, 1_700_000_000_000 + 1000 * number) for number in range(500)]
    path = file_path(tmp_path, "seconds", DAY, "SPY")
    write_file(path, table_of_bars(bars), facts_of())
    found = bars_of_table(read_file(path, "seconds").table)
    assert list(map(codec.encode_bar, found)) == list(map(codec.encode_bar, bars))


MEMBER = (
    b'{"id":"SPY~k3f9x2ab","type":"wall","side":"bid","status":"closed",'
    b'"opened_at":1700000000123.4567,"noticed_at":1700000001000,"updated_at":1700000009000,'
    b'"closed_at":1700000003000.25,"close_reason":"moved_away","price_low":585.3,'
    b'"price_high":585.3,"strength":0.93,"evidence_class":"A","statistic":2.1,"threshold":1.5,'
    b'"evidence":{"size":1200.0},"return_minutes":12.5,"at_least":true}'
)


def test_an_event_comes_back_with_equal_fields(tmp_path):
    record = read_event(MEMBER, "SPY")
    kept = KeptEvent(record, (1.25, None, -0.1))
    path = file_path(tmp_path, "events", DAY, "SPY")
    write_file(path, table_of_events([kept]), facts_of("events"))
    assert events_of_table(read_file(path, "events").table) == [kept]


def test_a_session_comes_back_with_what_is_known_of_it(tmp_path):
    kept = KeptSession(
        {"calendar": "XNYS", "phase": "post", "as_of": 5, "high": 1.5}, is_final=True
    )
    path = file_path(tmp_path, "sessions", DAY, "SPY")
    write_file(path, table_of_session(kept), facts_of("sessions"))
    assert session_of_table(read_file(path, "sessions").table) == kept


@pytest.mark.parametrize("ticker", ["BTC/USD", "A_B", ".X", "SPY   241220C00450000", "/ESZ6"])
def test_each_ticker_has_one_file_that_tells_its_name(tmp_path, ticker):
    path = file_path(tmp_path, "seconds", DAY, ticker)
    write_file(path, table_of_bars([Bar(1000)]), facts_of(ticker=ticker))
    assert path.parent.parent == tmp_path / "seconds"
    assert not path.name.startswith((".", "_"))  # readers of folders leave such names out
    assert list(tickers_of_date(tmp_path, "seconds", DAY)) == [ticker]
    assert kept_dates(tmp_path) == dates_of_ticker(tmp_path, "seconds", ticker) == [DAY]


def test_a_torn_file_is_named(tmp_path):
    path = file_path(tmp_path, "seconds", DAY, "SPY")
    write_file(path, table_of_bars([Bar(1000)]), facts_of())
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(HistoryFileUnreadable, match=r"SPY\.parquet can't be read"):
        read_file(path, "seconds")


def test_a_file_of_a_newer_version_is_named(tmp_path, monkeypatch):
    path = file_path(tmp_path, "seconds", DAY, "SPY")
    with monkeypatch.context() as newer:
        newer.setattr("app.history.parquet_file.LAYOUT", file_facts.LAYOUT + 1)
        write_file(path, table_of_bars([Bar(1000)]), facts_of())
    with pytest.raises(HistoryFileNewer, match="newer version"):
        read_facts(path, "seconds")


def test_what_an_older_layout_lacks_is_empty(tmp_path):
    path = file_path(tmp_path, "seconds", DAY, "SPY")
    bar = odd_bar(Random(5), 2000)  # noqa: S311 - numbers to store
    table = table_of_bars([bar])
    write_file(path, table, facts_of())
    import pyarrow.parquet as pq  # noqa: PLC0415 - a file as an older version would have written it

    older = pq.read_table(path).drop_columns(["inside_volume"])
    pq.write_table(older, path)
    [found] = bars_of_table(read_file(path, "seconds").table)
    assert (found.inside_volume, found.ofi) == (0.0, bar.ofi)


def test_a_file_that_can_not_be_finished_leaves_the_old_one(tmp_path):
    path = file_path(tmp_path, "seconds", DAY, "SPY")
    write_file(path, table_of_bars([Bar(1000)]), facts_of())
    with pytest.raises(ValueError, match="names are not matching"):
        write_file(path, table_of_bars([Bar(2000)]).drop_columns(["ofi"]), facts_of())
    assert [bar.end for bar in bars_of_table(read_file(path, "seconds").table)] == [1000]
    assert [found.name for found in path.parent.iterdir()] == ["SPY.parquet"]
