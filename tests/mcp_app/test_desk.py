"""The desk's addresses: what they tell is what answers tell, and little is read for it."""

import gzip
from collections import Counter
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

import pytest
import redis

from app.answers.ask import ask
from app.answers.explain import explain
from app.answers.reader import Reader
from app.answers.rendering import archive_rendered
from app.core import clock
from app.core.settings import Settings
from mcp_app import desk_data
from tests.key_writer import KeyWriter
from tests.mcp_app.desk_client import Desk
from tests.simulated_ticks import SimulatedTicks

CANARY = "Zebra<script>"


@pytest.fixture
def spy(simulated: SimulatedTicks) -> SimulatedTicks:
    """Give two tickers after a minute and more."""
    simulated.begin("SPY", "AAPL")
    simulated.run(70)
    return simulated


def calls(client: redis.Redis) -> Counter[str]:
    """Return how often each command was called since the last reset."""
    stats: dict[str, Any] = client.info("commandstats")  # type: ignore[assignment]
    return Counter({name.removeprefix("cmdstat_"): it["calls"] for name, it in stats.items()})


def test_now_tells_the_answer_at_that_as_of(
    desk: Desk, spy: SimulatedTicks, reader: Reader
) -> None:
    told = desk().json("/desk/now?ticker=SPY")

    said = ask(reader, "SPY").reply.structured_content
    ticker = told["ticker"]
    assert ticker["as_of"] == ticker["answer"]["as_of"] == said["as_of"] == spy.as_of
    assert ticker["answer"]["headline"] == said["headline"]
    for name, value in said["metrics"].items():
        assert ticker["answer"]["metrics"][name] == value, name
    columns = ticker["rows"]["columns"]
    assert columns["bid_price"][-1] == said["metrics"]["bid_price"]
    assert columns["ask_size"][-1] == said["metrics"]["ask_size"]
    [row] = [row for row in told["board"]["tickers"] if row["ticker"] == "SPY"]
    assert row["bid_price"] == said["metrics"]["bid_price"]
    assert told["board"]["as_of"] == spy.as_of
    assert 0 < told["poll_after_ms"] < 2000
    assert told["interval_seconds"] == 1


def test_without_a_ticker_the_board_alone_is_told(desk: Desk, spy: SimulatedTicks) -> None:
    told = desk().json("/desk/now")

    assert "ticker" not in told
    assert {row["ticker"] for row in told["board"]["tickers"]} == set(spy.records)


def test_pictures_are_sent_once_a_step(desk: Desk, spy: SimulatedTicks) -> None:
    opened = desk()

    first = opened.json("/desk/now")
    again = opened.json("/desk/now", params={"sparks": first["sparks"]["end"]})

    assert set(first["sparks"]["mids"]) == set(spy.records)
    assert first["sparks"]["end"] % 5000 == 0
    assert "sparks" not in again


def test_since_a_moment_only_the_newest_seconds_are_told(desk: Desk, spy: SimulatedTicks) -> None:
    opened = desk()
    whole = opened.json("/desk/now?ticker=SPY")["ticker"]
    spy.run(1)

    told = opened.json("/desk/now", params={"ticker": "SPY", "since": whole["as_of"]})["ticker"]

    assert len(whole["rows"]["columns"]["mid"]) == 900
    assert len(told["rows"]["columns"]["mid"]) == 4
    assert told["rows"]["first_end"] == whole["as_of"] - 2000
    assert told["prints"]["from"] == whole["as_of"] - 3000


@pytest.mark.usefixtures("spy")
def test_an_unknown_ticker_is_said_beside_the_board(desk: Desk) -> None:
    told = desk().json("/desk/now", params={"ticker": "NOPE"})

    assert told["ticker"]["ticker"] == "NOPE"
    assert told["ticker"]["error"].startswith("NOPE: no record of this ticker in Redis")
    assert told["board"]["tickers"]


@pytest.mark.usefixtures("spy")
def test_a_name_that_is_no_ticker_stays_data(desk: Desk) -> None:
    response = desk().get("/desk/now", params={"ticker": "<script>alert(1)</script>"})

    assert response.status_code == HTTPStatus.OK
    assert response.headers["content-type"] == "application/json"
    assert "error" in response.json()["ticker"]


@pytest.mark.parametrize(
    "query",
    ["since=abc", "since=-1", "since=1.5", "sparks=x", "since=" + "9" * 30, "ticker=", "since=",
     "ticker=" + "x" * 100],
)  # fmt: skip
def test_a_query_that_can_t_be_read_is_refused_with_its_name(desk: Desk, query: str) -> None:
    refused = desk().get(f"/desk/now?{query}")

    assert refused.status_code == HTTPStatus.BAD_REQUEST
    assert refused.json()["error"].startswith(query.partition("=")[0])


def test_nobody_active_is_said_on_the_board(desk: Desk) -> None:
    board = desk().json("/desk/now")["board"]

    assert board["tickers"] == []
    assert "no ticker is known to be active" in board["error"]


def test_many_pages_share_what_is_read_in_a_second(
    desk: Desk, spy: SimulatedTicks, redis_client: redis.Redis
) -> None:
    opened = desk()
    query = {"params": {"ticker": "SPY", "since": spy.as_of}}
    opened.json("/desk/now", **query)

    redis_client.config_resetstat()
    told = opened.ask_all([("GET", "/desk/now", query)] * 20)

    assert {response.status_code for response in told} == {HTTPStatus.OK}
    assert len({response.json()["ticker"]["as_of"] for response in told}) == 1
    # The clock stands still: the second of the first question goes on.
    assert calls(redis_client)["hmget"] == 0


def test_nothing_is_read_while_nobody_looks(
    desk: Desk, redis_client: redis.Redis, spy: SimulatedTicks
) -> None:
    redis_client.config_resetstat()
    opened = desk()
    opened.get("/desk")
    opened.get("/desk/app.js")

    assert not calls(redis_client).keys() - {"config|resetstat", "info"}
    assert opened.json("/desk/now?ticker=SPY")["ticker"]["as_of"] == spy.as_of


def test_bars_and_unsealed_seconds_are_read_in_one_transaction(
    desk: Desk, spy: SimulatedTicks, redis_client: redis.Redis
) -> None:
    opened = desk()
    opened.json("/desk/now")
    redis_client.config_resetstat()

    told = opened.json("/desk/now", params={"ticker": "SPY", "since": spy.as_of - 1000})

    assert told["ticker"]["rows"]["columns"]["mid"][-1] is not None
    assert calls(redis_client)["exec"] == 1


def test_an_event_s_evidence_is_that_of_its_explanation(
    desk: Desk, reader: Reader, writer: KeyWriter
) -> None:
    writer.healthy_ticker()

    told = desk().json("/desk/event/" + quote("SPY~k3f9x2ab"))

    said = explain(reader, "SPY~k3f9x2ab")
    assert told["evidence"] == said.as_json()["evidence"]
    assert told["event"]["words"] == said.event.words
    assert told["text"].splitlines()[0].startswith("SPY")


def test_an_event_of_a_name_with_a_slash_is_found(desk: Desk, writer: KeyWriter) -> None:
    writer.heartbeat()
    writer.discovered("BTC/USD")
    writer.quote("BTC/USD")
    writer.tick("BTC/USD")
    writer.event("BTC/USD", id="BTC/USD~k3f9x2ab")

    told = desk().json("/desk/event/" + quote("BTC/USD~k3f9x2ab", safe=""))

    assert told["event"]["id"] == "BTC/USD~k3f9x2ab"


@pytest.mark.parametrize("event_id", ["SPY~zzzzzzzz", "SPY", "~", "NOPE~k3f9x2ab", CANARY,
                                      "a b~k3f9x2ab", ":x~k3f9x2ab", "\0~\0",
                                      "x" * 5000 + "~k3f9x2ab", "SPY~" + "x" * 5000])  # fmt: skip
def test_an_event_that_is_not_kept_is_said(desk: Desk, writer: KeyWriter, event_id: str) -> None:
    writer.healthy_ticker()

    refused = desk().get("/desk/event/" + quote(event_id))

    assert refused.status_code == HTTPStatus.NOT_FOUND
    assert refused.headers["content-type"] == "application/json"
    assert refused.json()["error"]
    assert len(refused.json()["error"]) < 500


def test_what_the_agent_was_told_is_listed_and_told_again(
    desk: Desk, reader: Reader, writer: KeyWriter
) -> None:
    writer.healthy_ticker()
    opened = desk()
    assert "newest_answer_at" not in opened.json("/desk/now")
    sent = archive_rendered(reader, ask(reader, "SPY").reply)

    told = opened.json("/desk/answers")
    [answer] = told["answers"]
    whole = opened.json(f"/desk/answers/{answer['id']}")

    assert (answer["ticker"], answer["title"]) == ("SPY", sent.text.splitlines()[0])
    assert whole["text"] == sent.text
    assert whole["as_of"] == writer.as_of
    assert opened.json("/desk/answers", params={"since": answer["at"] + 1})["answers"] == []
    assert desk().json("/desk/now")["newest_answer_at"] == answer["at"]


@pytest.mark.parametrize("answer_id", ["zzzzzzzz", "..%2f..%2fpasswd", CANARY])
def test_an_answer_that_is_not_kept_is_refused(desk: Desk, answer_id: str) -> None:
    assert desk().get(f"/desk/answers/{answer_id}").status_code == HTTPStatus.NOT_FOUND


def test_health_tells_what_is_wrong(
    desk: Desk, writer: KeyWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clock, "now_ms", lambda: writer.now)
    writer.healthy_ticker()
    assert desk().json("/desk/health")["troubles"] == []

    writer.heartbeat(fanout_age_seconds=60, tick_age_seconds=60)
    assert desk().json("/desk/health")["troubles"]


@pytest.mark.parametrize("path", ["/desk/now", "/desk/answers", "/desk/health", "/desk/event/S~a"])
def test_a_redis_that_is_gone_is_said(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    monkeypatch.setenv("REDIS_PORT", "1")

    refused = desk(None, Settings()).get(path)

    assert refused.status_code == HTTPStatus.SERVICE_UNAVAILABLE
    assert "can't be reached" in refused.json()["error"]


def test_a_redis_that_hangs_is_said_in_time(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(desk_data, "ANSWER_SECONDS", 0.0)

    refused = desk().get("/desk/answers")

    assert refused.status_code == HTTPStatus.SERVICE_UNAVAILABLE
    assert "too slow" in refused.json()["error"]


def test_no_text_of_a_key_reaches_the_page(
    desk: Desk, writer: KeyWriter, redis_client: redis.Redis
) -> None:
    writer.healthy_ticker()
    writer.event(type=CANARY)
    writer.event(evidence={CANARY: CANARY, "level_share": CANARY})
    redis_client.hset("orderflow:feed:SPY", mapping={"source": CANARY, "scope": CANARY})
    redis_client.hset("orderflow:session:SPY", mapping={"calendar": CANARY, CANARY: "1"})
    redis_client.hset("orderflow:metrics:SPY:1min", mapping={"vwap": CANARY, "ranks": CANARY})
    redis_client.zadd("orderflow:tickers", {CANARY: writer.now})
    redis_client.zadd("orderflow:trades:SPY", {f'"{CANARY}"': writer.now})
    redis_client.hset("orderflow:counters", CANARY, 1)
    opened = desk()

    for path in ("/desk/now?ticker=SPY", "/desk/health", "/desk/event/SPY~k3f9x2ab"):
        assert "Zebra" not in opened.get(path).text, path


def test_answers_are_packed_and_not_kept_by_browsers(desk: Desk, spy: SimulatedTicks) -> None:
    response = desk().get("/desk/now?ticker=SPY", headers={"Accept-Encoding": "gzip"})

    assert spy.as_of
    assert response.headers["content-encoding"] == "gzip"
    assert response.headers["cache-control"] == "no-store"
    assert len(gzip.compress(response.content, 1)) < len(response.content) / 2


def test_files_of_the_page_are_served_and_no_others(desk: Desk) -> None:
    opened = desk()

    served = opened.get("/desk/app.js")
    assert served.text == "// script"
    assert "javascript" in served.headers["content-type"]
    again = opened.get("/desk/app.js", headers={"If-None-Match": served.headers["etag"]})
    assert again.status_code == HTTPStatus.NOT_MODIFIED
    for path in ("notes.txt", "login.html", "index.html", "..%2fserver.py", "none.js", ".js"):
        assert opened.get(f"/desk/{path}").status_code == HTTPStatus.NOT_FOUND, path


def test_other_methods_are_refused(desk: Desk) -> None:
    assert desk().ask("POST", "/desk/now").status_code == HTTPStatus.METHOD_NOT_ALLOWED
    assert desk().ask("DELETE", "/desk/login").status_code == HTTPStatus.METHOD_NOT_ALLOWED
