"""What a broker writes, from its `ZADD` to answers, `status` and totals."""

import json
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
import redis

from app.answers.ask import ask
from app.answers.compare import compare
from app.answers.list_tickers import list_tickers
from app.answers.reader import Reader
from app.core import clock
from app.core.errors import NoUsableQuotes
from app.core.settings import Settings
from app.operations import status
from app.operations.status import HealthInspector
from app.storage.active_tickers import ActiveTickers
from app.storage.keys import Keys
from app.storage.tick_store import TickStore

GOOD = {"bid_price": 100.0, "bid_size": 5, "ask_price": 100.02, "ask_size": 7}
Fields = dict[str, Any]


class Market:
    """A broker, discovery and a worker, all of the past up to now."""

    def __init__(self, client: redis.Redis, settings: Settings) -> None:
        self.client = client
        self.now = int(clock.now_ms() // 1000 * 1000)
        self.totals: Counter[str] = Counter()
        self._store = TickStore(settings)
        self._tickers = ActiveTickers(client, Keys())
        self._seq = 0

    def write(
        self, ticker: str, ages: Sequence[float], of: Callable[[int], Fields], kind: str = "quotes"
    ) -> None:
        """Write records of given ages in seconds, the oldest first."""
        pipe = self.client.pipeline(transaction=False)
        for number, age in enumerate(ages):
            self._seq += 1
            member = json.dumps({**of(number), "seq": self._seq})
            pipe.zadd(f"orderflow:{kind}:{ticker}", {member: self.now - age * 1000})
        pipe.execute()

    def tick(self, *tickers: str, seconds: int) -> None:
        """Tick each second of the last `seconds`, as beat and a worker do."""
        for as_of in range(self.now - (seconds - 1) * 1000, self.now + 1, 1000):
            for ticker in tickers:
                report = self._store.run_tick(ticker, as_of)
                self.totals.update(report.oddities)
            self.client.hset("orderflow:pulse", mapping={"fanout": as_of, "tick": as_of})
        self._tickers.scan_slice(self.now)


@pytest.fixture
def market(redis_client: redis.Redis, settings: Settings) -> Iterator[Market]:
    """Give a market without any ticker yet; the time stands still from then on."""
    clock.stand_still(clock.now_ms())
    yield Market(redis_client, settings)
    clock.stand_still(None)


def five_a_second(seconds: float, until: float = 0.0) -> list[float]:
    """Return the ages of quotes, five a second, the oldest first."""
    return [until + n / 5 for n in range(round(seconds * 5) - 1, -1, -1)]


def text_of(reader: Reader, ticker: str) -> str:
    return ask(reader, ticker, "30s").reply.text


def test_row_1_thousands_of_refused_quotes_before_good_ones(market: Market, reader: Reader) -> None:
    refused = {**GOOD, "ask_price": None}
    market.write("SPY", [20 + n * 0.18 for n in range(5000, -1, -1)], lambda _: refused)
    market.write("SPY", five_a_second(20), lambda _: GOOD)

    market.tick("SPY", seconds=12)

    answer = ask(reader, "SPY", "30s").answer
    assert answer.as_of == market.now
    assert answer.covered_seconds == pytest.approx(19.8)
    assert answer.newest_quote_age_seconds < 3
    assert answer.quality.counts == {"missing_number": pytest.approx(56, abs=1)}
    assert answer.rejected is None
    assert market.totals["missing_number"] == 5001


def test_row_1_as_written_a_side_of_size_0_needs_no_price(market: Market, reader: Reader) -> None:
    one_sided = {**GOOD, "ask_price": None, "ask_size": 0}
    market.write("SPY", [20 + n * 0.18 for n in range(5000, -1, -1)], lambda _: one_sided)
    market.write("SPY", five_a_second(20), lambda _: GOOD)

    market.tick("SPY", seconds=12)

    answer = ask(reader, "SPY", "30s").answer
    assert (answer.as_of, answer.covered_seconds) == (market.now, 30)
    assert answer.quality.counts == {"one_sided": pytest.approx(56, abs=1)}


@pytest.mark.parametrize("nothing", [None, "", 0, -1, 1e300, "n/a", True])
def test_row_2_an_empty_bid_while_the_ask_moves(
    market: Market, reader: Reader, nothing: object
) -> None:
    market.write("SPY", five_a_second(15, 45), lambda _: GOOD)
    market.write(
        "SPY",
        five_a_second(45),
        lambda n: {"bid_price": nothing, "bid_size": 0, "ask_price": 101.0 + n, "ask_size": 9},
    )

    market.tick("SPY", seconds=60)

    answer = ask(reader, "SPY", "30s").answer
    assert answer.metrics.model_dump(exclude_none=True)["ask_price"] == 101 + 224
    assert answer.metrics.model_dump(exclude_none=True)["bid_size"] == 0
    assert answer.quality.counts == {"one_sided": 150}
    assert not answer.quiet


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"bid_price": None}, "missing_number"),
        ({"bid_size": -3}, "negative_size"),
        ({"ask_price": 0}, "non_positive_price"),
        ({"ask_size": 1e30}, "out_of_range"),
    ],
)
def test_row_2_refused_after_good_ones_the_age_goes_by_the_newest_usable_quote(
    market: Market, reader: Reader, changed: Fields, reason: str, settings: Settings
) -> None:
    market.write("SPY", five_a_second(15, 45), lambda _: GOOD)
    market.write("SPY", five_a_second(45), lambda _: GOOD | changed)

    market.tick("SPY", seconds=60)

    answer, text = ask(reader, "SPY", "30s").answer, text_of(reader, "SPY")
    assert 45 <= answer.newest_quote_age_seconds < 50
    assert answer.quiet
    assert answer.rejected is not None
    assert (answer.rejected.quotes, answer.rejected.reasons) == (225, {reason: 225})
    line = rf"^REJECTED: 225 quotes since 4\d s ago, newer than any usable one: {reason} 225$"
    assert re.search(line, text, re.MULTILINE)
    assert "nothing odd" not in text
    assert "QUIET" in text
    found = HealthInspector(market.client, settings).status()
    assert found.troubles == ("rejected, and nothing usable since: SPY",)
    assert f"{reason} 225" in status.as_text(found)


REFUSED_WHOLLY = {
    "out of range": ({**GOOD, "bid_price": 1e17, "ask_price": 1.1e17}, "out_of_range"),
    "names of another broker": ({"bid": 1, "ask": 2, "bidSize": 3, "askSize": 4}, "missing_number"),
    "prices in booleans": ({**GOOD, "bid_price": True}, "boolean_number"),
    "too long": ({**GOOD, "note": "x" * 5000}, "too_long"),
}


@pytest.mark.parametrize(("fields", "reason"), REFUSED_WHOLLY.values(), ids=REFUSED_WHOLLY)
def test_row_4_a_ticker_of_which_everything_is_refused_says_so_everywhere(
    market: Market, reader: Reader, settings: Settings, fields: Fields, reason: str
) -> None:
    market.write("KRW-BTC", five_a_second(24), lambda _: fields)
    market.write("SPY", five_a_second(24), lambda _: GOOD)

    market.tick("KRW-BTC", "SPY", seconds=24)

    with pytest.raises(
        NoUsableQuotes,
        match=rf"^KRW-BTC: 120 quotes arrived in the last 2\d s, none usable: {reason} 120 \(",
    ):
        ask(reader, "KRW-BTC", "30s")
    rows = {row.ticker: row for row in list_tickers(reader).tickers}
    assert rows["KRW-BTC"].flags == ["rejected"]
    assert rows["KRW-BTC"].quality == {reason: 120}
    compared = {row.ticker: row for row in compare(reader, ["SPY", "KRW-BTC"], "30s").tickers}
    assert f"{reason} 120" in str(compared["KRW-BTC"].error)
    found = HealthInspector(market.client, settings).status()
    assert "rejected, and nothing usable since: KRW-BTC" in found.troubles
    assert re.search(
        rf"^rejected of KRW-BTC: 120 quotes since 2\d s ago, .*: {reason} 120$",
        status.as_text(found),
        re.MULTILINE,
    )
    assert market.totals[reason] == 120


@pytest.mark.parametrize("word", ["BUY", "Buy", "SELL", "sElL"])
def test_row_11_aggressors_in_any_letter_case_are_given(
    market: Market, reader: Reader, word: str
) -> None:
    market.write("SPY", five_a_second(20), lambda _: GOOD)
    trade = {"price": 100.02, "size": 3, "aggressor": word}
    market.write("SPY", five_a_second(20), lambda _: trade, "trades")

    market.tick("SPY", seconds=20)

    answer = ask(reader, "SPY", "30s").answer
    assert answer.evidence_class == "A"
    assert answer.quality.counts == {}
    volumes = answer.metrics.model_dump(exclude_none=True)
    assert volumes["buy_volume" if word.lower() == "buy" else "sell_volume"] == 300


@pytest.mark.parametrize("word", ["B", "S", "b", "bid", "ask", True, 1, "", "unknown", " buy"])
def test_row_11_any_other_aggressor_is_inferred_and_counted(
    market: Market, reader: Reader, word: object
) -> None:
    market.write("SPY", five_a_second(20), lambda _: GOOD)
    trade = {"price": 100.02, "size": 3, "aggressor": word}
    market.write("SPY", five_a_second(20), lambda _: trade, "trades")

    market.tick("SPY", seconds=20)

    answer = ask(reader, "SPY", "30s").answer
    assert answer.evidence_class == "B"
    assert answer.quality.counts == {"unknown_aggressor": 100}
    assert "quality: unknown_aggressor 100" in text_of(reader, "SPY")
    assert market.totals == {"unknown_aggressor": 100}


def test_trades_alone_are_usable_and_all_quotes_are_refused(market: Market, reader: Reader) -> None:
    market.write("SPY", five_a_second(20), lambda _: GOOD | {"bid_price": None})
    trade = {"price": 100.02, "size": 3, "aggressor": "buy"}
    market.write("SPY", five_a_second(20), lambda _: trade, "trades")

    market.tick("SPY", seconds=20)

    with pytest.raises(NoUsableQuotes, match=r"100 quotes arrived .* missing_number 100"):
        ask(reader, "SPY", "30s")
