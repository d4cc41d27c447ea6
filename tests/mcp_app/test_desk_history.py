"""The desk looks back: a quarter of an hour of an earlier moment, from Redis or from the files."""

from http import HTTPStatus
from pathlib import Path
from typing import Any

import pytest

from app.answers.ask import ask
from app.answers.live_ticker import MAX_EVENTS_DRAWN
from app.answers.reader import Reader
from app.core import clock
from app.core.settings import Settings
from app.history.paths import file_path, kept_dates
from tests.builders import START_MS
from tests.kept_files import DAY_MS, EngineRun, busy_records, keep, let_it_be_days_later
from tests.key_writer import KeyWriter
from tests.mcp_app.desk_client import TOKEN, Desk
from tests.simulated_ticks import SimulatedTicks

QUARTER_MS = 900_000
PAIR = "BTC/USD"
OF_SECOND = ("bid_price", "ask_price", "bid_size", "ask_size", "ofi", "quote_count", "buy_volume")
RUN = EngineRun(busy_records(5), PAIR)
END = RUN.ends[-1]


@pytest.fixture
def spy(simulated: SimulatedTicks) -> SimulatedTicks:
    """Give a ticker after a minute and more."""
    simulated.begin("SPY")
    simulated.run(80)
    return simulated


@pytest.fixture
def days_later(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Write a history, and let it be three days after it; Redis is empty."""
    keep(tmp_path / "history", RUN)
    let_it_be_days_later(monkeypatch, RUN)
    return settings.model_copy(update={"history_given": str(tmp_path / "history")})


def looked_at(desk: Any, ticker: str, end: int) -> dict[str, Any]:
    told: dict[str, Any] = desk.json("/desk/history", params={"ticker": ticker, "end": end})
    return told


def by_end(told: dict[str, Any]) -> dict[int, dict[str, Any]]:
    """Return the rows of a reply by the end of their second."""
    columns = told["rows"]["columns"]
    [length] = {len(values) for values in columns.values()}
    ends = [told["rows"]["first_end"] + 1000 * place for place in range(length)]
    return {
        end: {name: values[place] for name, values in columns.items()}
        for place, end in enumerate(ends)
    }


def test_an_earlier_moment_has_the_seconds_that_were_shown_live(
    desk: Desk, spy: SimulatedTicks
) -> None:
    opened = desk()
    live = opened.json("/desk/now?ticker=SPY")["ticker"]
    spy.run(15)

    past = looked_at(desk(), "SPY", live["as_of"] + 400)

    assert past["as_of"] == live["as_of"]
    shown, rows = by_end(live), by_end(past)
    assert max(rows) == past["as_of"]
    assert len(rows) == QUARTER_MS // 1000
    for end in range(past["as_of"] - 60_000, past["as_of"] - 2000, 1000):
        for name in OF_SECOND:
            assert rows[end][name] == shown[end][name], (end, name)
    assert past["prints"] == live["prints"]
    assert {event["id"] for event in past["events"]} == {event["id"] for event in live["events"]}


def test_the_session_s_lines_are_those_that_were_shown_live(
    desk: Desk, simulated: SimulatedTicks
) -> None:
    simulated.begin(PAIR)
    simulated.run(80)
    live = desk().json("/desk/now", params={"ticker": PAIR})["ticker"]
    simulated.run(15)

    past = looked_at(desk(), PAIR, live["as_of"])

    shown, rows = by_end(live), by_end(past)
    known = [end for end, row in shown.items() if row["cvd"] is not None]
    assert len(known) > 30
    for end in known:
        for name in ("cvd", "session_vwap"):
            assert rows[end][name] == pytest.approx(shown[end][name], rel=1e-6), (end, name)
    assert past["session"]["phase"] == "continuous"
    assert past["session"]["cvd"] == rows[live["as_of"]]["cvd"]
    assert past["note"].startswith("from Redis; not kept of then: levels, ranks, ")


def test_its_answer_is_what_an_agent_is_told_of_that_moment(
    desk: Desk, spy: SimulatedTicks, reader: Reader
) -> None:
    at = spy.as_of - 20_000

    answer = looked_at(desk(), "spy", at)["answer"]

    said = ask(reader, "SPY", as_of=str(at)).reply.structured_content
    for name in ("ticker", "headline", "as_of", "note", "evidence_class"):
        assert answer[name] == said[name], name
    for name, value in said["metrics"].items():
        assert answer["metrics"][name] == value, name


def test_nothing_that_came_later_is_shown(desk: Desk, spy: SimulatedTicks) -> None:
    at = spy.as_of - 30_000

    past = looked_at(desk(), "SPY", at)

    assert max(by_end(past)) == at
    assert all(end <= at for end, *_ in past["prints"]["rows"])
    assert all(event["noticed_at"] <= at for event in past["events"])
    assert all((event.get("closed_at") or 0) <= at for event in past["events"])


def test_prints_are_complete_from_after_the_newest_that_is_gone(
    desk: Desk, spy: SimulatedTicks
) -> None:
    whole = looked_at(desk(), "SPY", spy.as_of - 10_000)["prints"]
    gone = spy.as_of - 40_000
    spy.client.zremrangebyscore("orderflow:trades:SPY", "-inf", gone)

    prints = looked_at(desk(), "SPY", spy.as_of - 10_000)["prints"]

    assert whole["complete_from"] == whole["from"]
    assert prints["complete_from"] == max(end for end, *_ in whole["rows"] if end <= gone)
    assert prints["rows"] == [row for row in whole["rows"] if row[0] > gone]


def test_prints_that_are_all_gone_are_absent(desk: Desk, spy: SimulatedTicks) -> None:
    at = spy.as_of - 10_000
    assert looked_at(desk(), "SPY", at)["prints"]["rows"]
    spy.client.zremrangebyscore("orderflow:trades:SPY", "-inf", at)

    assert "prints" not in looked_at(desk(), "SPY", at)


@pytest.mark.parametrize("share", [0.4, 1.0])
def test_a_kept_day_has_the_seconds_that_were_published(
    desk: Desk, days_later: Settings, share: float
) -> None:
    at = RUN.ends[round(share * (len(RUN.ends) - 1))]

    past = looked_at(desk(None, days_later), PAIR, at)

    rows = by_end(past)
    bars = {bar.end: bar for bar in RUN.bars}
    known = [end for end in rows if end in bars and end > at - 200_000]
    assert len(known) > 100
    for end in known:
        bar, row = bars[end], rows[end]
        assert row["quote_count"] == bar.quote_count
        assert row["buy_volume"] == pytest.approx(bar.buy_volume)
        assert row["ofi"] == pytest.approx(bar.ofi)
    published = RUN.metrics[at]["5min"]
    assert rows[at]["bid_price"] == published["bid_price"]
    assert past["answer"]["metrics"]["quote_count"] == published["quote_count"]
    assert any(row["buy_volume"] for row in rows.values())
    for name in ("prints", "levels"):
        assert name not in past, name
    assert past["session"]["volume"] == pytest.approx(
        sum(bar.buy_volume + bar.sell_volume + bar.unsigned_volume for bar in bars.values()
            if bar.end <= at), rel=1e-5,
    )  # fmt: skip
    assert rows[at]["cvd"] == pytest.approx(past["session"]["cvd"])
    assert past["note"].startswith("from the history; not kept of then: levels, ranks, prints")


def test_the_events_of_a_kept_day_are_those_that_had_been_noticed(
    desk: Desk, days_later: Settings
) -> None:
    at = RUN.ends[len(RUN.ends) // 2]

    past = looked_at(desk(None, days_later), PAIR, at)

    start = at - QUARTER_MS
    wanted = {it.id for it in RUN.events if it.noticed_at <= at and (it.closed_at or at) > start}
    shown = [event["id"] for event in past["events"]]
    assert {*shown} <= wanted
    assert len(shown) == min(len(wanted), MAX_EVENTS_DRAWN) > 10
    assert past["order"] == shown[: len(past["order"])]


def test_a_moment_of_which_nothing_is_kept_names_what_is(desk: Desk, days_later: Settings) -> None:
    opened = desk(None, days_later)

    after = looked_at(opened, PAIR, END + DAY_MS)
    before = looked_at(opened, PAIR, END - 60 * DAY_MS)
    unknown = looked_at(opened, "NOPE", END)

    assert "nothing is kept of 2023-11-1" in after["error"]
    assert "kept: 2023-11-14" in after["error"]
    assert "the last 30 days are kept" in before["error"]
    assert unknown["error"].startswith("NOPE: nothing is kept of it; kept")
    assert after["ticker"] == PAIR


def test_without_a_history_what_redis_holds_is_said(desk: Desk, spy: SimulatedTicks) -> None:
    opened = desk()

    before = looked_at(opened, "SPY", spy.as_of - QUARTER_MS)
    long_before = looked_at(opened, "SPY", spy.as_of - DAY_MS)

    assert "no quote is kept of" in before["error"]
    assert "the last 2.2 h are kept" in long_before["error"]
    assert "ORDERFLOW_HISTORY, which keeps more, is not set" in long_before["error"]


def test_without_a_history_the_second_hour_of_redis_is_shown(
    desk: Desk, spy: SimulatedTicks
) -> None:
    at = spy.as_of - 10_000
    spy.pass_time(5400)
    writer = KeyWriter(spy.client)
    writer.now = clock.now_ms()
    writer.as_of = int(writer.now // 1000 * 1000)
    writer.healthy_ticker()

    past = looked_at(desk(), "SPY", at)

    assert past.get("error") is None
    assert past["as_of"] == at
    assert by_end(past)[at]["bid_price"] is not None


def test_a_file_that_can_t_be_read_is_named(
    desk: Desk, days_later: Settings, tmp_path: Path
) -> None:
    folder = tmp_path / "history"
    for day in kept_dates(folder):
        file_path(folder, "seconds", day, PAIR).write_bytes(b"no parquet")

    refused = desk(None, days_later).get("/desk/history", params={"ticker": PAIR, "end": END})

    assert refused.status_code == HTTPStatus.SERVICE_UNAVAILABLE
    assert "BTC%2FUSD.parquet" in refused.json()["error"]


@pytest.mark.parametrize(
    "query",
    ["", "ticker=SPY", "end=1700000000000", "ticker=SPY&end=abc", "ticker=SPY&end=-1",
     "ticker=&end=1", "ticker=SPY&end=" + "9" * 30, "end=1&ticker=" + "x" * 100],
)  # fmt: skip
def test_a_query_that_can_t_be_read_is_refused(desk: Desk, query: str) -> None:
    refused = desk().get(f"/desk/history?{query}")

    assert refused.status_code == HTTPStatus.BAD_REQUEST
    assert refused.json()["error"]


@pytest.mark.parametrize("end", ["0", "1", "9" * 16])
def test_any_time_is_answered(desk: Desk, days_later: Settings, end: str) -> None:
    assert desk(None, days_later).json(f"/desk/history?ticker=SPY&end={end}")["error"]


def test_looking_back_asks_for_the_token(desk: Desk) -> None:
    opened = desk(TOKEN)

    refused = opened.get("/desk/history", params={"ticker": "SPY", "end": START_MS})
    assert refused.status_code == HTTPStatus.UNAUTHORIZED


def test_of_a_ticker_in_no_file_yet_what_redis_holds_is_said(
    desk: Desk, spy: SimulatedTicks, settings: Settings, tmp_path: Path
) -> None:
    opened = desk(None, settings.model_copy(update={"history_given": str(tmp_path / "history")}))

    before = looked_at(opened, "SPY", spy.as_of - QUARTER_MS)
    unknown = looked_at(opened, "NOPE", spy.as_of - QUARTER_MS)

    assert "no quote is kept of" in before["error"]
    assert unknown["error"] == "NOPE: nothing is kept of it; no day is kept yet"
