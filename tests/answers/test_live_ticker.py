"""A ticker for people who watch: rows, prints and events equal the records and the answer."""

from collections import defaultdict
from typing import Any

import pytest
import redis

from app.analysis.records import PRICE_UNITS, Quote, Record, Trade
from app.answers.ask import ask
from app.answers.live_ticker import LiveTicker, live_ticker
from app.answers.reader import Reader
from app.core.errors import BadTicker, UnknownTicker
from tests.simulated_ticks import SimulatedTicks

SECONDS = 90
Sums = dict[tuple[int, float, str | None], float]


@pytest.fixture
def spy(simulated: SimulatedTicks) -> SimulatedTicks:
    """Give a ticker after a minute and a half."""
    simulated.begin("SPY")
    simulated.run(SECONDS)
    return simulated


def columns(live: LiveTicker) -> dict[str, list[Any]]:
    assert live.rows is not None
    return live.rows.columns


def by_end(live: LiveTicker) -> dict[int, dict[str, Any]]:
    """Return the rows of a reply by the end of their second."""
    assert live.rows is not None
    first = live.rows.first_end
    lengths = {len(values) for values in live.rows.columns.values()}
    assert len(lengths) == 1, "columns are of equal length"
    return {
        first + 1000 * place: {name: values[place] for name, values in live.rows.columns.items()}
        for place in range(lengths.pop())
    }


def printed(records: list[Record], after: float = 0.0) -> Sums:
    """Sum prints by second, price and given side, from the records themselves."""
    sums: Sums = defaultdict(float)
    for it in records:
        if isinstance(it, Trade) and it.stamp > after:
            end = int(-(-it.stamp // 1000) * 1000)
            side = {1: "buy", -1: "sell", 0: None}[it.aggressor]
            sums[end, it.price / PRICE_UNITS, side] += it.size
    return sums


def told_prints(live: LiveTicker) -> Sums:
    assert live.prints is not None
    return {(end, price, side): size for end, price, size, side, _ in live.prints.rows}


def test_the_answer_is_that_of_the_tool(spy: SimulatedTicks, reader: Reader) -> None:
    live = live_ticker(reader, "SPY")

    said = ask(reader, "SPY").reply.structured_content
    assert live.as_of == live.answer["as_of"] == said["as_of"] == spy.as_of
    for name in ("headline", "evidence_class", "ranks", "behaviors", "quality", "feed", "stale"):
        assert live.answer.get(name) == said.get(name), name
    for name, value in said["metrics"].items():
        assert live.answer["metrics"][name] == value, name
    for name, value in said["session"].items():
        assert live.answer["session"][name] == value, name
    for told, event in zip(live.answer["events"], said["events"], strict=False):
        assert told["words"] == event["words"]


def test_a_row_holds_the_standing_quote_at_its_end(spy: SimulatedTicks, reader: Reader) -> None:
    rows = by_end(live_ticker(reader, "SPY"))

    assert max(rows) == spy.as_of
    quotes = [it for it in spy.records["SPY"] if isinstance(it, Quote)]
    for end in range(spy.as_of - 60_000, spy.as_of + 1, 1000):
        standing = [quote for quote in quotes if quote.stamp <= end][-1]
        row = rows[end]
        assert row["bid_price"] == pytest.approx(standing.bid_price / PRICE_UNITS, rel=1e-9)
        assert row["ask_price"] == pytest.approx(standing.ask_price / PRICE_UNITS, rel=1e-9)
        assert (row["bid_size"], row["ask_size"]) == (standing.bid_size, standing.ask_size)
        assert row["quote_count"] == sum(end - 1000 < it.stamp <= end for it in quotes)


def test_seconds_before_the_first_quote_are_not_known(spy: SimulatedTicks, reader: Reader) -> None:
    rows = by_end(live_ticker(reader, "SPY"))

    before = rows[spy.as_of - (SECONDS + 5) * 1000]
    assert before["bid_price"] is before["mid"] is before["cvd"] is before["session_vwap"] is None


@pytest.mark.usefixtures("spy")
def test_the_rows_sum_up_to_the_answer(reader: Reader) -> None:
    live = live_ticker(reader, "SPY")

    metrics, rows = live.answer["metrics"], columns(live)
    for name in ("ofi", "buy_volume", "sell_volume", "quote_count"):
        assert sum(value or 0 for value in rows[name]) == pytest.approx(metrics[name]), name


def test_cvd_and_session_vwap_end_where_the_session_stands(
    simulated: SimulatedTicks, reader: Reader
) -> None:
    # A market that never closes: a stock has no session now at night.
    simulated.begin("BTC-USD")
    simulated.run(SECONDS)
    live = live_ticker(reader, "BTC-USD")

    rows, session = by_end(live), live.answer["session"]
    known_at = int(simulated.client.hget("orderflow:session:BTC-USD", "as_of"))
    assert simulated.as_of - known_at < 5000
    assert rows[known_at]["cvd"] == pytest.approx(session["cvd"])
    assert rows[known_at]["session_vwap"] == pytest.approx(session["vwap"], rel=1e-6)
    seen_from = next(it.stamp for it in simulated.records["BTC-USD"] if isinstance(it, Quote))
    seen = [
        it for it in simulated.records["BTC-USD"] if isinstance(it, Trade) and it.stamp > seen_from
    ]
    for end in (simulated.as_of - 30_000, simulated.as_of):
        trades = [it for it in seen if it.stamp <= end]
        volume = sum(it.size for it in trades)
        vwap = sum(it.size * it.price / PRICE_UNITS for it in trades) / volume
        assert rows[end]["cvd"] == pytest.approx(sum(it.size * it.aggressor for it in trades))
        assert rows[end]["session_vwap"] == pytest.approx(vwap, rel=1e-7)


def test_prints_are_summed_by_second_price_and_side(spy: SimulatedTicks, reader: Reader) -> None:
    live = live_ticker(reader, "SPY")

    assert told_prints(live) == pytest.approx(printed(spy.records["SPY"]))
    assert live.prints is not None
    assert live.prints.complete_from == live.prints.from_ms


def test_prints_without_an_aggressor_are_signed_as_the_analysis_signs_them(
    simulated: SimulatedTicks, reader: Reader
) -> None:
    simulated.begin("SPY")
    for records in (simulated.next_records("SPY") for _ in range(60)):
        for it in records:
            if isinstance(it, Trade):
                it.aggressor = 0
        simulated.tick("SPY", records)

    live = live_ticker(reader, "SPY")

    assert live.answer["evidence_class"] == "B"
    rows = columns(live)
    for side in ("buy", "sell"):
        by_prints = sum(size for (_, _, told), size in told_prints(live).items() if told == side)
        by_rows = sum(value or 0 for value in rows[f"{side}_volume"])
        assert by_rows > 0
        assert by_prints == pytest.approx(by_rows)


def test_who_asks_since_a_moment_gets_the_same_as_who_asks_for_all(
    spy: SimulatedTicks, reader: Reader
) -> None:
    first = live_ticker(reader, "SPY")
    rows, prints = by_end(first), told_prints(first)
    events = {event["id"]: event for event in first.events}
    for _ in range(4):
        spy.run(2)
        more = live_ticker(reader, "SPY", first.as_of)
        assert more.rows is not None
        assert len(by_end(more)) <= 5, "only the newest seconds are told again"
        assert more.prints is not None
        rows |= by_end(more)
        kept = {key: size for key, size in prints.items() if key[0] <= more.prints.from_ms}
        prints = kept | told_prints(more)
        events |= {event["id"]: event for event in more.events}
        first = more

    whole = live_ticker(reader, "SPY")

    assert {end: rows[end] for end in by_end(whole)} == by_end(whole)
    assert told_prints(whole) == pytest.approx(prints)
    for event in whole.events:
        assert events[event["id"]]["status"] == event["status"], event
    assert set(whole.order) <= set(events)


@pytest.mark.parametrize("since_seconds", [3600, -0.5, -3600, 900_000_000])
def test_a_moment_outside_the_picture_gets_all_of_it(
    spy: SimulatedTicks, reader: Reader, since_seconds: float
) -> None:
    whole = live_ticker(reader, "SPY")

    told = live_ticker(reader, "SPY", max(0, spy.as_of - round(since_seconds * 1000)))

    assert told.rows == whole.rows
    assert told.prints == whole.prints


@pytest.mark.usefixtures("spy")
def test_a_feed_that_is_behind_has_no_rows_that_were_not_read(
    spy: SimulatedTicks, reader: Reader, redis_client: redis.Redis
) -> None:
    before = by_end(live_ticker(reader, "SPY"))
    redis_client.hset("orderflow:lags", "SPY", 60)
    spy.pass_time(60)

    rows = by_end(live_ticker(reader, "SPY"))

    assert max(rows) == spy.as_of
    assert len(rows) < len(before)
    assert rows == {end: before[end] for end in rows}


def test_events_are_listed_as_the_answer_orders_them(reader: Reader) -> None:
    live = live_ticker(reader, "SPY")

    ids = {event["id"] for event in live.events}
    assert set(live.order) <= ids
    shown = [event["id"] for event in live.answer["events"]]
    assert shown
    assert [event_id for event_id in live.order if event_id in shown] == shown


@pytest.mark.usefixtures("spy")
def test_levels_are_those_of_the_answer_and_more(reader: Reader) -> None:
    live = live_ticker(reader, "SPY")

    for level in live.answer["levels"]:
        assert level in live.levels
    assert len(live.levels) >= len(live.answer["levels"])


@pytest.mark.usefixtures("spy")
def test_a_ticker_is_found_without_regard_to_case(reader: Reader) -> None:
    assert live_ticker(reader, "spy").ticker == "SPY"


@pytest.mark.usefixtures("spy")
def test_an_unknown_ticker_is_refused_by_name(reader: Reader) -> None:
    with pytest.raises(UnknownTicker, match="NOPE"):
        live_ticker(reader, "NOPE")
    with pytest.raises(BadTicker):
        live_ticker(reader, "<script>")


def test_a_ticker_before_its_first_tick_has_its_quote_and_no_rows(
    simulated: SimulatedTicks, reader: Reader, redis_client: redis.Redis
) -> None:
    simulated.begin("SPY", "QQQ")
    simulated.run(5)
    names = [name for name in redis_client.keys("orderflow:*:QQQ*") if b"quotes" not in name]
    redis_client.delete(*names)

    live = live_ticker(reader, "QQQ")

    assert live.as_of is live.rows is live.prints is None
    assert live.answer["warming"]
    assert live.answer["metrics"]["bid_price"] > 0


def test_fractions_leave_no_remainder_where_nothing_was_traded(
    simulated: SimulatedTicks, reader: Reader
) -> None:
    price = 100 * PRICE_UNITS
    sizes = {12: (0.1, 1), 13: (0.2, 1), 14: (0.3, -1), 15: (0.7, 1), 16: (0.7, -1)}
    simulated.begin("BTC-USD")
    for number in range(30):
        stamp = simulated.as_of + 500.0
        quote = Quote(stamp, 2 * number, price - 1000, 1.0, price + 1000, 1.0)
        size, aggressor = sizes.get(number, (0.0, 0))
        traded = [Trade(stamp + 100, 2 * number + 1, price, size, aggressor)] if size else []
        simulated.tick("BTC-USD", [quote, *traded])

    rows = columns(live_ticker(reader, "BTC-USD"))

    known = [value for value in rows["session_vwap"] if value is not None]
    assert known == [100] * 18, "none before the first print"
    cvds = [value for value in rows["cvd"] if value is not None]
    assert cvds == pytest.approx([0.1, 0.3, 0, 0.7] + [0] * 14, abs=0)
