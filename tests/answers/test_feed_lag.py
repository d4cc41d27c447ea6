"""What answers, status and metrics say of feeds that are behind, and of delayed ones."""

import json

import pytest
import redis

from app.answers.ask import ask
from app.answers.compare import compare
from app.answers.list_tickers import list_tickers
from app.answers.reader import Reader
from app.answers.scan import scan
from app.answers.series import series
from app.core import clock
from app.core.errors import BrokerSilent
from app.core.settings import Settings
from app.operations.prometheus import AnalysisCollector
from app.operations.status import HealthInspector, as_text
from app.storage import keys
from app.storage.tick_store import TickStore
from tests.builders import START_MS
from tests.key_writer import KeyWriter

LAGGING = [3, 10, 30]
DELAYED = [31, 903, 21605]


@pytest.fixture
def behind(writer: KeyWriter, redis_client: redis.Redis):
    """Give a way to write a healthy ticker whose feed is some seconds behind."""

    def write(lag: int, *, also_late: int = 0) -> None:
        writer.heartbeat()
        writer.discovered("SPY")
        writer.quote(age_seconds=lag + also_late)
        writer.tick(age_seconds=lag + also_late)
        closed = {"status": "closed", "closed_at": writer.now, "close_reason": "elapsed"}
        writer.event(opened_age_seconds=lag + 5, type="sweep", **closed)
        redis_client.hset(keys.LAGS, "SPY", lag)

    return write


@pytest.mark.parametrize("lag", [*LAGGING, *DELAYED])
def test_an_answer_says_by_how_much_the_feed_is_behind(behind, reader: Reader, lag: int) -> None:
    behind(lag)

    answer = ask(reader, "SPY", "30s")

    known = json.loads(answer.reply.json)
    assert known["feed_lag_seconds"] == lag
    assert lag <= known["age_seconds"] < lag + 30
    assert not known["stale"]
    assert not known["quiet"]
    word = "FEED BEHIND: records come" if lag in LAGGING else "DELAYED FEED: stamped"
    [line] = [line for line in answer.reply.text.split("\n") if line.startswith(word)]
    assert " ago" in line


def test_the_words_of_a_lag_and_of_a_delay(behind, reader: Reader) -> None:
    behind(10)
    assert "FEED BEHIND: records come 10 s late; as of 1" in ask(reader, "SPY").reply.text

    behind(903)
    assert "DELAYED FEED: stamped 15 min behind; as of 15 min ago" in ask(reader, "SPY").reply.text


@pytest.mark.parametrize("lag", [*LAGGING, *DELAYED])
def test_stale_and_quiet_count_from_the_lag(behind, reader: Reader, lag: int) -> None:
    behind(lag, also_late=20)

    snapshot = reader.snapshot("SPY", 60)

    assert snapshot.stale
    assert snapshot.quiet


@pytest.mark.parametrize("history", ["30s", "1m", "45s", "5m"])
def test_every_history_of_a_delayed_feed_is_answered(behind, reader: Reader, history: str) -> None:
    behind(903)

    known = json.loads(ask(reader, "SPY", history).reply.json)

    assert (known["feed_lag_seconds"], known["stale"]) == (903, False)


@pytest.mark.parametrize(
    ("lag", "flag"), [*((n, "lagging") for n in LAGGING), *((n, "delayed") for n in DELAYED)]
)
def test_rows_about_tickers_have_a_flag(behind, reader: Reader, lag: int, flag: str) -> None:
    behind(lag)

    [listed] = list_tickers(reader).tickers
    [compared] = compare(reader, ["SPY"]).tickers
    [found] = scan(reader).events
    measured = series(reader, "SPY", ["ofi"], "1m")

    assert (listed.flags, listed.feed_lag_seconds) == ([flag], lag)
    assert (compared.flags, compared.feed_lag_seconds) == ([flag], lag)
    assert found.flags == [flag]
    assert measured.flags == [flag]
    assert flag.upper() in list_tickers(reader).as_text()
    assert " late" in compare(reader, ["SPY"]).as_text()


def test_status_names_feeds_behind_as_trouble_and_delayed_ones(
    settings: Settings, redis_client: redis.Redis, writer: KeyWriter
) -> None:
    for number, lag in enumerate((3, 10, 10, 903)):
        writer.quote(f"T{number}", age_seconds=lag)
        writer.tick(f"T{number}", age_seconds=lag)
        redis_client.hset(keys.LAGS, f"T{number}", lag)
    writer.heartbeat()
    writer.discovered("T0", "T1", "T2", "T3")

    status = HealthInspector(redis_client, settings).status()

    assert status.troubles == ("feeds are behind by 10 s: T1, T2; 3 s: T0",)
    assert "\ndelayed feeds, by 15 min: T3\n" in as_text(status)
    assert "4 active, 4 with a fresh tick" in as_text(status)


def test_status_of_a_delayed_feed_alone_is_no_trouble(
    behind, settings: Settings, redis_client: redis.Redis
) -> None:
    behind(903)

    status = HealthInspector(redis_client, settings).status()

    assert status.troubles == ()
    assert "delayed feeds, by 15 min: SPY" in as_text(status)


def test_metrics_count_lagging_and_delayed_tickers(
    redis_client: redis.Redis, settings: Settings
) -> None:
    redis_client.hset(keys.LAGS, mapping={"A": 3, "B": 30, "C": 31, "D": "x"})

    found = {
        sample.name: sample.value
        for metric in AnalysisCollector(redis_client, settings).collect()
        for sample in metric.samples
    }

    assert found["orderflow_lagging_tickers"] == 2
    assert found["orderflow_delayed_tickers"] == 1


def test_the_broker_is_not_called_silent_while_records_arrive(
    writer: KeyWriter, reader: Reader, redis_client: redis.Redis
) -> None:
    writer.heartbeat()
    writer.quote(age_seconds=900)
    with pytest.raises(BrokerSilent):
        reader.snapshot("SPY", 60)

    redis_client.zadd(keys.TICKERS, {"SPY": writer.now - 1000})
    before = reader.snapshot("SPY", 60)
    writer.tick()
    after = reader.snapshot("SPY", 60)

    assert before.warming
    assert after.quiet
    assert "records arrive" in str(after.cause)
    assert "silent" not in str(after.cause)
    assert "silent" not in list_tickers(reader).as_text()


@pytest.mark.parametrize("history_seconds", [10, 30, 60])
def test_the_broker_is_not_called_silent_while_late_records_arrive(
    writer: KeyWriter, reader: Reader, history_seconds: int
) -> None:
    writer.heartbeat()
    writer.quote(age_seconds=70)
    writer.tick(quote_count=0, quality={"late": 5})

    snapshot = reader.snapshot("SPY", history_seconds)

    assert snapshot.quiet
    assert "records arrive" in str(snapshot.cause)


@pytest.mark.parametrize("lag", [3, 10, 25])
def test_the_age_is_that_of_the_book_before_and_after_a_lag_is_known(
    reader: Reader,
    redis_client: redis.Redis,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
    lag: int,
) -> None:
    store, began = TickStore(settings), 20
    written = 0
    for second in range(1, 120):
        now = second * 5  # in fifths of a second
        while written < 600:
            stamp = written / 5
            if stamp + (lag if stamp > began else 0) > now / 5:
                break
            fields = {"bid_price": 100 + written / 100, "bid_size": 1, "ask_price": 110}
            member = json.dumps({**fields, "ask_size": 1, "seq": written})
            redis_client.zadd("orderflow:quotes:SPY", {member: START_MS + stamp * 1000})
            written += 1
        store.run_tick("SPY", START_MS + second * 1000)
        monkeypatch.setattr(clock, "now_ms", lambda at=second: START_MS + at * 1000 + 300.0)
        redis_client.hset(
            keys.HEARTBEAT, mapping={"fanout": clock.now_ms(), "tick": clock.now_ms()}
        )

        snapshot = reader.snapshot("SPY", 10)

        assert snapshot.as_of_ms is not None
        bid = snapshot.metrics["bid_price"]
        assert isinstance(bid, (int, float))
        book_ms = START_MS + round((bid - 100) * 100) * 200
        in_book = snapshot.newest_quote_ms <= snapshot.as_of_ms
        assert snapshot.newest_quote_ms == (book_ms if in_book else START_MS + (written - 1) * 200)
        assert snapshot.newest_quote_ms >= book_ms

    assert snapshot.feed_lag_seconds == lag
    assert snapshot.as_of_ms == START_MS + (119 - lag) * 1000
    assert not snapshot.stale


def test_a_lags_key_of_the_wrong_type_is_no_lag(
    writer: KeyWriter, reader: Reader, redis_client: redis.Redis, settings: Settings
) -> None:
    writer.healthy_ticker()
    redis_client.set(keys.LAGS, "no hash")

    assert reader.snapshot("SPY", 60).feed_lag_seconds == 0
    assert list_tickers(reader).tickers[0].flags == []
    assert HealthInspector(redis_client, settings).status().lagging == {}
