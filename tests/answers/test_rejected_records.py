"""Where records are rejected, every answer goes by the newest usable quote and says the rest."""

import json
import re
from typing import Any

import pytest
import redis

from app.answers.ask import ask
from app.answers.compare import compare
from app.answers.explain import explain
from app.answers.list_tickers import list_tickers
from app.answers.reader import Reader
from app.answers.scan import scan
from app.answers.series import series
from app.core.errors import AnalysisNotRunning, BrokerSilent, NoUsableQuotes
from app.core.settings import Settings
from app.operations import status
from app.operations.status import HealthInspector
from tests.key_writer import KeyWriter

NOTHING_ODD = "nothing odd"


def refused_since(writer: KeyWriter, age_seconds: float = 15, count: int = 147) -> None:
    """Write a ticker that was healthy until its quotes could not be used any more."""
    writer.quote(age_seconds=age_seconds)
    writer.heartbeat()
    writer.discovered("SPY")
    writer.tick()
    writer.rejected(since_age_seconds=age_seconds, missing_number=count)
    writer.refused_quotes(age_seconds=1.2)


def all_refused(writer: KeyWriter, ticker: str = "BTC", count: int = 119) -> None:
    """Write a ticker of which a tick rejected all quotes, and one quote that no tick has seen."""
    writer.heartbeat()
    writer.discovered(ticker)
    writer.refused_quotes(ticker, age_seconds=-0.1)
    writer.rejected(ticker, since_age_seconds=24, out_of_range=count)


def text_of(reader: Reader, history: str = "5m", **how: Any) -> str:
    return ask(reader, "SPY", history, **how).reply.text


def test_the_age_and_quiet_go_by_the_newest_usable_quote(writer: KeyWriter, reader: Reader) -> None:
    refused_since(writer)

    answer = ask(reader, "SPY", "5m").answer
    text = text_of(reader)

    assert 15 <= answer.newest_quote_age_seconds < 17
    assert answer.newest_quote_at == round(writer.now - 15_000)
    assert answer.quiet
    assert not answer.stale
    assert answer.rejected is not None
    assert re.search(
        r"^REJECTED: 147 quotes since 1[56] s ago, newer than any usable one: "
        r"missing_number 147$",
        text,
        re.MULTILINE,
    )
    assert "note: quotes arrive and are rejected; the newest usable one came" in text
    assert "silent" not in text
    assert NOTHING_ODD not in text


def test_a_rejected_quote_that_no_tick_has_seen_counts_too(
    writer: KeyWriter, reader: Reader
) -> None:
    refused_since(writer, age_seconds=3, count=12)
    writer.refused_quotes(age_seconds=-0.5)

    rejected = ask(reader, "SPY", "5m").answer.rejected

    assert rejected is not None
    assert (rejected.quotes, rejected.trades, rejected.reasons) == (13, 0, {"missing_number": 13})


def test_the_first_rejected_quote_is_told_before_a_tick_has_seen_it(
    writer: KeyWriter, reader: Reader
) -> None:
    writer.healthy_ticker()
    writer.refused_quotes(age_seconds=-0.5)

    answer = ask(reader, "SPY", "5m").answer

    assert answer.rejected is not None
    assert answer.rejected.quotes == 1
    assert answer.newest_quote_age_seconds >= 0.5


def test_a_usable_quote_that_no_tick_has_seen_ends_it(writer: KeyWriter, reader: Reader) -> None:
    refused_since(writer)
    writer.quote(age_seconds=-0.5)

    answer = ask(reader, "SPY", "5m").answer

    assert answer.rejected is None
    assert answer.newest_quote_age_seconds < 1
    assert not answer.quiet


def test_a_usable_quote_that_came_too_late_for_the_numbers_is_not_the_newest(
    writer: KeyWriter, reader: Reader
) -> None:
    writer.quote(age_seconds=40)
    writer.tick()
    writer.heartbeat()
    writer.quote(age_seconds=20)

    answer = ask(reader, "SPY", "5m").answer

    assert 40 <= answer.newest_quote_age_seconds < 42


def test_a_late_first_quote_of_a_ticker_with_trades_alone_is_in_no_number(
    writer: KeyWriter, reader: Reader
) -> None:
    writer.heartbeat()
    writer.discovered("SPY")
    writer.tick(covered_seconds=0.0, bid_price=None, ask_price=None)
    writer.quote(age_seconds=4)

    with pytest.raises(NoUsableQuotes, match="too late"):
        reader.snapshot("SPY", 300)

    assert list_tickers(reader).tickers[0].newest_quote_age_seconds is None


def test_rejected_trades_are_told_beside_usable_quotes(writer: KeyWriter, reader: Reader) -> None:
    writer.healthy_ticker()
    writer.rejected(since_age_seconds=5, kind="trades", zero_size=7, not_json=1)

    answer, text = ask(reader, "SPY", "5m").answer, text_of(reader)

    assert answer.rejected is not None
    assert (answer.rejected.quotes, answer.rejected.trades) == (0, 8)
    assert answer.newest_quote_age_seconds < 2
    assert "REJECTED: 8 trades since 5." in text
    assert "newer than any usable one: zero_size 7, not_json 1" in text


def test_a_brief_answer_says_it_too(writer: KeyWriter, reader: Reader) -> None:
    refused_since(writer)

    said = ask(reader, "SPY", "5m", detail="brief")

    assert "REJECTED: 147 quotes" in said.reply.text
    assert '"rejected":{"since":' in said.reply.json


@pytest.mark.parametrize("count", [1, 120, 5_000_000])
def test_a_ticker_of_which_all_is_rejected_says_so_with_reason_count_and_since_when(
    writer: KeyWriter, reader: Reader, count: int
) -> None:
    all_refused(writer, count=count)

    with pytest.raises(
        NoUsableQuotes,
        match=rf"^BTC: {count + 1} quotes arrived in the last 2\d s, none usable: "
        rf"(out_of_range {count}, missing_number 1|missing_number 1, out_of_range 1) \(.*\); "
        r"what a record must be is in docs/broker.md$",
    ):
        reader.snapshot("BTC", 30)


def test_a_ticker_that_no_tick_has_seen_yet_says_that_its_newest_quote_is_rejected(
    writer: KeyWriter, reader: Reader
) -> None:
    writer.heartbeat()
    writer.refused_quotes("BTC", age_seconds=0.3)

    with pytest.raises(NoUsableQuotes, match=r"^BTC: 1 quote arrived in .*missing_number 1 \("):
        reader.snapshot("BTC", 30)


def test_that_the_analysis_does_not_run_comes_first(writer: KeyWriter, reader: Reader) -> None:
    writer.heartbeat(fanout_age_seconds=60)
    writer.refused_quotes("BTC", age_seconds=0.3)

    with pytest.raises(AnalysisNotRunning, match="quotes come in"):
        reader.snapshot("BTC", 30)


def test_the_first_usable_quote_of_a_rejected_ticker_is_what_is_known(
    writer: KeyWriter, reader: Reader
) -> None:
    all_refused(writer, "SPY")
    writer.quote(age_seconds=-0.5)

    text = text_of(reader)

    assert "WARMING" in text
    assert "bid/ask: 585.33/585.94" in text or "585.33" in text
    assert NOTHING_ODD not in text


def test_usable_quotes_of_long_ago_are_named_where_all_newer_ones_are_rejected(
    writer: KeyWriter, reader: Reader
) -> None:
    refused_since(writer, age_seconds=400, count=2000)

    with pytest.raises(
        NoUsableQuotes,
        match=r"2000 quotes arrived in the last 40\d s, .*; the newest usable one came .* UTC",
    ):
        reader.snapshot("SPY", 300)


def test_a_broker_that_sends_nothing_at_all_is_silent(writer: KeyWriter, reader: Reader) -> None:
    writer.quote(age_seconds=900)
    writer.tick()
    writer.rejected(since_age_seconds=899, not_json=9)
    writer.refused_quotes(age_seconds=400)

    with pytest.raises(BrokerSilent):
        reader.snapshot("SPY", 300)


def test_the_list_the_comparison_and_the_scan_show_it(writer: KeyWriter, reader: Reader) -> None:
    refused_since(writer)
    all_refused(writer)
    writer.quote("AAPL")
    writer.tick("AAPL")
    writer.discovered("AAPL")

    listed = {row.ticker: row for row in list_tickers(reader).tickers}
    lines = list_tickers(reader).as_text().splitlines()
    compared = {row.ticker: row for row in compare(reader, ["SPY", "BTC", "AAPL"]).tickers}
    scanned = scan(reader)

    assert {name: row.flags for name, row in listed.items()} == {
        "SPY": ["quiet", "rejected"],
        "BTC": ["rejected"],
        "AAPL": [],
    }
    assert listed["BTC"].newest_quote_age_seconds is None
    assert listed["BTC"].quality == {"out_of_range": 119, "missing_number": 1}
    assert listed["SPY"].newest_quote_age_seconds == pytest.approx(15, abs=2)
    assert any(
        re.fullmatch(
            r"BTC: no usable quote; C; REJECTED 120 quotes since 2\d s ago, newer than any usable "
            r"one: out_of_range 119, missing_number 1; odd out_of_range 119 missing_number 1",
            line,
        )
        for line in lines
    )
    assert listed["SPY"].rejected == compared["SPY"].rejected
    assert listed["SPY"].rejected is not None
    assert listed["SPY"].rejected.reasons == {"missing_number": 147}
    assert "REJECTED 147 quotes since" in compare(reader, ["SPY", "BTC"]).as_text()
    assert compared["SPY"].flags == ["quiet", "rejected"]
    assert "120 quotes arrived in the last 24 s, none usable" in str(compared["BTC"].error)
    assert compared["AAPL"].flags == []
    assert scanned.rejected_tickers == 2
    assert "REJECTED 2" in scanned.as_text()


def test_the_list_does_not_call_a_broker_silent_whose_quotes_are_rejected(
    writer: KeyWriter, reader: Reader
) -> None:
    refused_since(writer)
    note = "quotes arrive and are rejected; the newest usable one came"
    assert note in str(list_tickers(reader).note)

    writer.clear_quotes()
    all_refused(writer)
    assert "quotes arrive and are rejected: check" in str(list_tickers(reader).note)


def test_a_broker_is_silent_whose_rejected_quotes_do_not_come_any_more(
    writer: KeyWriter, reader: Reader
) -> None:
    writer.quote(age_seconds=40)
    writer.heartbeat()
    writer.discovered("SPY")
    writer.tick()
    writer.rejected(since_age_seconds=39, not_json=9)
    writer.refused_quotes(age_seconds=20)

    said = [ask(reader, "SPY", "5m").answer.note, list_tickers(reader).note]

    for note in said:
        assert re.search(r"the broker is silent: the newest quote came .* \(2\d s ago\)", str(note))


def test_quotes_that_come_too_late_for_the_numbers_are_no_silence(
    writer: KeyWriter, reader: Reader
) -> None:
    writer.quote(age_seconds=40)
    writer.heartbeat()
    writer.tick()
    writer.quote(age_seconds=3)

    note = ask(reader, "SPY", "5m").answer.note

    assert "quotes arrive and come too late for the numbers" in str(note)


def test_series_and_explanations_flag_it(writer: KeyWriter, reader: Reader) -> None:
    refused_since(writer)
    writer.event()

    said = [series(reader, "SPY", ["ofi"]), explain(reader, "SPY~k3f9x2ab")]

    for reply in said:
        assert "rejected" in reply.flags
        assert "REJECTED" in reply.as_text()
        assert NOTHING_ODD not in reply.as_text()


def test_status_says_which_tickers_records_are_rejected(
    writer: KeyWriter, redis_client: redis.Redis, settings: Settings
) -> None:
    refused_since(writer)
    all_refused(writer)
    writer.quote("AAPL")
    writer.tick("AAPL")
    writer.discovered("AAPL")
    writer.rejected("AAPL", since_age_seconds=601, kind="trades", zero_size=1)

    found = HealthInspector(redis_client, settings).status()
    text = status.as_text(found)

    assert found.behind == []
    assert found.troubles == ("rejected, and nothing usable since: BTC, SPY",)
    assert re.search(
        r"^rejected of BTC: 119 quotes since 2\d s ago, .*: out_of_range 119$", text, re.MULTILINE
    )
    assert re.search(
        r"^rejected of SPY: 147 quotes since 1\d s ago, .*: missing_number", text, re.MULTILINE
    )
    assert re.search(
        r"^rejected of AAPL: 1 trade since 10 min ago, .*: zero_size 1$", text, re.MULTILINE
    )
    assert (
        json.loads(json.dumps(status.as_json(found)))["rejected"]["BTC"]["quotes"]["count"] == 119
    )


@pytest.mark.parametrize(
    "text",
    [
        b"[]",
        b"{",
        b'{"quotes": 3}',
        b'{"quotes": {"since": "x", "count": 1, "reasons": {}}}',
        b'{"quotes": {"since": 1700000000000, "count": 1}}',
        b'{"quotes": {"since": 1, "count": 1, "reasons": {}}}',
        b'{"quotes": {"since": 1e300, "count": 1, "reasons": {}}}',
        b'{"quotes": {"since": 1700000000000, "count": true, "reasons": {}}}',
        b'{"quotes": {"since": 1700000000000, "count": -1, "reasons": {}}}',
        b"\xff",
    ],
)
def test_what_a_state_tells_in_another_form_is_nothing(
    writer: KeyWriter, reader: Reader, redis_client: redis.Redis, text: bytes
) -> None:
    writer.healthy_ticker()
    redis_client.hset("orderflow:state:SPY", "rejected", text)

    assert ask(reader, "SPY", "5m").answer.rejected is None


@pytest.mark.parametrize("stamp", ["x", "-1e300", "1e300", "nan", "0", "1700000000"])
def test_a_stamp_that_can_be_none_is_not_known(
    writer: KeyWriter, reader: Reader, redis_client: redis.Redis, stamp: str
) -> None:
    writer.healthy_ticker()
    redis_client.hset("orderflow:state:SPY", "quote_at", stamp)

    assert ask(reader, "SPY", "5m").answer.newest_quote_age_seconds < 5


@pytest.mark.parametrize(("aggressor", "evidence"), [("Sell", "A"), (None, "B")])
def test_a_rejected_trade_says_nothing_of_the_evidence(
    writer: KeyWriter, reader: Reader, redis_client: redis.Redis, aggressor: str, evidence: str
) -> None:
    writer.healthy_ticker()
    redis_client.delete("orderflow:trades:SPY")
    writer.trade(aggressor=aggressor)
    redis_client.zadd("orderflow:trades:SPY", {"no trade": writer.now + 1})

    assert ask(reader, "SPY", "5m").answer.evidence_class == evidence
    assert list_tickers(reader).tickers[0].evidence_class == evidence


def test_rejected_trades_alone_are_no_evidence(
    writer: KeyWriter, reader: Reader, redis_client: redis.Redis
) -> None:
    writer.quote()
    writer.heartbeat()
    writer.discovered("SPY")
    writer.tick(trade_count=None)
    redis_client.zadd("orderflow:trades:SPY", {f"no trade {n}": writer.now for n in range(9)})

    assert ask(reader, "SPY", "5m").answer.evidence_class == "C"
    assert list_tickers(reader).tickers[0].evidence_class == "C"


def test_nothing_is_odd_only_once_a_tick_has_looked(writer: KeyWriter, reader: Reader) -> None:
    writer.quote()
    writer.heartbeat()
    assert NOTHING_ODD not in text_of(reader)

    writer.tick()
    assert NOTHING_ODD in text_of(reader)


def test_a_state_of_a_former_version_tells_no_stamp_and_the_newest_quote_counts(
    writer: KeyWriter, reader: Reader, redis_client: redis.Redis
) -> None:
    writer.quote(age_seconds=4)
    writer.tick()
    redis_client.hdel("orderflow:state:SPY", "quote_at")

    assert 4 <= ask(reader, "SPY", "5m").answer.newest_quote_age_seconds < 6
