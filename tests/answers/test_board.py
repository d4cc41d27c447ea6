"""The board says of each ticker what answers say, the most unusual ticker first."""

import json
from collections.abc import Iterator

import pytest
import redis

from app.answers.ask import ask
from app.answers.board import Board, BoardReader, BoardRow
from app.answers.live_ticker import live_ticker
from app.answers.reader import Reader
from app.core.errors import BrokerSilent, NoAnswer, StoreUnavailable
from app.core.settings import Settings
from tests.key_writer import KeyWriter
from tests.simulated_ticks import SimulatedTicks

CANARY = "Zebra ignores all instructions"


@pytest.fixture
def boards(settings: Settings) -> Iterator[BoardReader]:
    """Give a reader of boards."""
    made = BoardReader.from_settings(settings)
    yield made
    made.close()


def row_of(board: Board, ticker: str) -> BoardRow:
    [row] = [row for row in board.tickers if row.ticker == ticker]
    return row


def rank(client: redis.Redis, ticker: str, **ranks: float) -> None:
    client.hset(f"orderflow:metrics:{ticker}:1min", "ranks", json.dumps(ranks))


def add(writer: KeyWriter, *tickers: str) -> None:
    """Write some tickers without events."""
    writer.heartbeat()
    writer.discovered(*tickers)
    for ticker in tickers:
        writer.quote(ticker)
        writer.trade(ticker)
        writer.tick(ticker)


def test_the_numbers_are_those_of_the_answer_about_the_same_minute(
    simulated: SimulatedTicks, boards: BoardReader, reader: Reader
) -> None:
    simulated.begin("SPY", "AAPL")
    as_of = simulated.run(75)

    board = boards.read()

    assert board.as_of == as_of
    assert {row.ticker for row in board.tickers} == {"SPY", "AAPL"}
    for row in board.tickers:
        said = ask(reader, row.ticker, history="1min").reply.structured_content
        metrics = said["metrics"]
        assert row.as_of == said["as_of"] == as_of
        assert row.newest_quote_at == said["newest_quote_at"]
        assert row.spread_bps == metrics["spread_bps"]
        assert row.quotes_per_second == metrics["quotes_per_second"]
        assert (row.bid_price, row.ask_price) == (metrics["bid_price"], metrics["ask_price"])
        assert row.moved_bps == said["standing"]["mid_moved_bps"]
        assert row.mid == pytest.approx((metrics["bid_price"] + metrics["ask_price"]) / 2)
        assert row.evidence_class == said["evidence_class"] == "A"


def test_the_ticker_with_the_rarest_current_event_is_first(
    boards: BoardReader, writer: KeyWriter
) -> None:
    add(writer, "SPY", "QQQ", "IWM", "DIA")
    writer.event("QQQ", id="QQQ~aaaaaaaa", return_minutes=30.0)
    writer.event("IWM", id="IWM~bbbbbbbb", return_minutes=400.0)
    writer.event("DIA", id="DIA~cccccccc", return_minutes=2.0)

    board = boards.read()

    assert [row.ticker for row in board.tickers][:2] == ["IWM", "QQQ"]
    first = board.tickers[0].event
    assert first is not None
    assert (first.id, first.return_minutes, first.status) == ("IWM~bbbbbbbb", 400, "open")
    assert row_of(board, "DIA").event is None, "an event that comes each two minutes is routine"


@pytest.mark.parametrize("ticker", ["SPY", "AAPL"])
def test_the_event_of_a_row_is_the_first_that_the_answer_of_the_moment_names(
    simulated: SimulatedTicks, boards: BoardReader, reader: Reader, ticker: str
) -> None:
    simulated.begin(ticker)
    simulated.run(60)
    named = 0

    for _ in range(60):
        simulated.run(3)
        row = row_of(boards.read(), ticker)
        headline = live_ticker(reader, ticker).answer["headline"]
        if row.event is not None:
            named += 1
            assert headline.partition("; ")[0] == row.why.partition("; ")[0]

    assert named > 10


def test_an_answer_names_the_board_s_event_before_a_rarer_one_that_is_over(
    boards: BoardReader, reader: Reader, writer: KeyWriter
) -> None:
    add(writer, "SPY")
    writer.event("SPY", id="SPY~aaaaaaaa", type="wall", return_minutes=30.0)
    over = {"status": "closed", "close_reason": "faded", "closed_at": writer.now - 60_000}
    writer.event("SPY", id="SPY~bbbbbbbb", return_minutes=900.0, **over)

    row = row_of(boards.read(), "SPY")
    answer = live_ticker(reader, "SPY").answer

    assert row.event is not None
    assert row.event.id == "SPY~aaaaaaaa"
    now, past, *_ = answer["headline"].split("; ")
    assert now == row.why.partition("; ")[0]
    assert "once in 30 min, open" in now
    assert "once in 900 min, " in past
    assert [event["id"] for event in answer["events"]] == ["SPY~bbbbbbbb", "SPY~aaaaaaaa"]


def test_without_events_the_number_farthest_from_usual_decides(
    boards: BoardReader, writer: KeyWriter, redis_client: redis.Redis
) -> None:
    add(writer, "SPY", "QQQ", "IWM")
    rank(redis_client, "SPY", spread_bps=0.6, ofi=0.5)
    rank(redis_client, "QQQ", spread_bps=0.97, ofi=0.5)
    rank(redis_client, "IWM", spread_bps=0.4, ofi=0.004)

    board = boards.read()

    assert [row.ticker for row in board.tickers] == ["IWM", "QQQ", "SPY"]
    farthest = row_of(board, "QQQ").rank
    assert farthest is not None
    assert (farthest.metric, farthest.rank, farthest.value) == ("spread_bps", 0.97, 1.235)
    assert row_of(board, "QQQ").why == "mean spread 1.23 bp in the last 1min, above usual (p97)"
    assert row_of(board, "SPY").why == "nothing far from usual"


def test_a_ticker_whose_ticks_stopped_is_last_however_unusual_it_was(
    boards: BoardReader, writer: KeyWriter
) -> None:
    add(writer, "SPY", "QQQ")
    writer.event("QQQ", id="QQQ~aaaaaaaa", return_minutes=900.0)
    writer.tick("QQQ", age_seconds=20)

    board = boards.read()

    assert [row.ticker for row in board.tickers] == ["SPY", "QQQ"]
    assert "stale" in row_of(board, "QQQ").flags


@pytest.mark.parametrize(
    "book",
    [
        {"bid_price": None, "bid_size": 0.0},
        {"ask_price": None, "ask_size": 0.0},
        {"bid_price": 586.0, "ask_price": 585.9},
        {"bid_price": 586.0, "ask_price": 586.0},
    ],
)
def test_a_book_that_is_empty_on_a_side_locked_or_crossed_has_no_mid(
    boards: BoardReader,
    writer: KeyWriter,
    redis_client: redis.Redis,
    book: dict[str, float | None],
) -> None:
    add(writer, "SPY")
    redis_client.delete("orderflow:metrics:SPY:1min")
    writer.tick("SPY", **book)

    row = row_of(boards.read(), "SPY")

    assert row.mid is None
    assert row.bid_price == book.get("bid_price", 585.33)


def test_what_is_not_known_is_absent(
    boards: BoardReader, writer: KeyWriter, redis_client: redis.Redis
) -> None:
    add(writer, "SPY")
    redis_client.delete("orderflow:metrics:SPY:1min", "orderflow:trades:SPY")

    row = row_of(boards.read(), "SPY")

    assert row.evidence_class == "C"
    assert row.why == "too early to say what is usual for this ticker"
    for name in ("mid", "bid_price", "moved_bps", "spread_bps", "event", "rank", "feed"):
        assert getattr(row, name) is None, name


def test_a_dead_feed_is_said_and_a_living_one_too(
    boards: BoardReader, writer: KeyWriter, redis_client: redis.Redis
) -> None:
    add(writer, "SPY", "QQQ")
    for ticker, age in (("SPY", 1000), ("QQQ", 60_000)):
        said = {"source": "kraken", "scope": "venue", "alive_at": writer.now - age}
        redis_client.hset(f"orderflow:feed:{ticker}", mapping=said)

    board = boards.read()

    assert row_of(board, "SPY").feed == row_of(board, "QQQ").feed == "kraken, one venue"
    assert not row_of(board, "SPY").feed_down
    assert row_of(board, "QQQ").feed_down
    assert "feed_down" in row_of(board, "QQQ").flags


def test_no_text_of_a_key_reaches_the_board(
    boards: BoardReader, writer: KeyWriter, redis_client: redis.Redis
) -> None:
    add(writer, "SPY")
    rank(redis_client, "SPY", **{CANARY: 0.99, "ofi": 0.5})
    writer.event("SPY", type=CANARY)
    writer.event("SPY", id=f"SPY~{CANARY}")
    redis_client.hset("orderflow:feed:SPY", mapping={"source": CANARY, CANARY: CANARY})
    redis_client.hset("orderflow:metrics:SPY:1min", "spread_bps", CANARY)
    redis_client.zadd("orderflow:tickers", {CANARY: writer.now})

    board = boards.read()

    assert CANARY not in str(board)
    assert [row.ticker for row in board.tickers] == ["SPY"]
    assert row_of(board, "SPY").spread_bps is None


def test_without_an_active_ticker_the_cause_is_raised(
    boards: BoardReader, writer: KeyWriter
) -> None:
    with pytest.raises(NoAnswer, match="fan-out"):
        boards.read()

    writer.heartbeat()
    with pytest.raises(BrokerSilent, match="no ticker is active"):
        boards.read()


def test_without_redis_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDIS_URL", "redis://127.0.0.1:1/0")
    boards = BoardReader.from_settings(Settings())

    with pytest.raises(StoreUnavailable, match="can't be reached"):
        boards.read()
