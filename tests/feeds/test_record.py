"""Recorded tapes: every record once, whatever ends the recorder, and every gap declared."""

import gzip
import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Event, Thread

import pytest
import redis

from app.analysis.records import BUY, UNSIGNED, Quote, Record, Trade
from app.core import clock
from app.core.errors import TapeError
from app.core.settings import Settings
from app.feeds import record as record_module
from app.feeds.publish import QuoteMember, TradeMember
from app.feeds.record import TapeRecorder
from app.feeds.record_redis import TickerRecorder, record_tickers
from app.feeds.tape import read_tape
from app.storage.keys import Keys
from tests.broker import publish
from tests.processes import Start, wait_until

DAY_MS = 86_400_000
NEW_YEAR_MS = 1_735_689_600_000
"""2025-01-01 00:00 UTC."""
HOUR_MS = 3_600_000.0


def quote(stamp: float, seq: int) -> Quote:
    return Quote(stamp, seq, 58_533_000_000, 18.0, 58_594_000_001, 0.25)


def quote_member(stamp: float, seq: int) -> QuoteMember:
    return QuoteMember(stamp, 585.33, 18, 585.94000001, 0.25, seq)


def tape_of(folder: Path, name: str) -> list[Record]:
    """Read a recorded tape; no row of it may be odd or doubled."""
    trades = folder / f"{name}.trades.csv.gz"
    tape = read_tape(folder / f"{name}.quotes.csv.gz", trades if trades.exists() else None)
    assert not tape.faults
    return tape.records


def gaps_of(folder: Path, name: str) -> list[tuple[float, float, str]]:
    header, *rows = (folder / f"{name}.gaps.csv").read_text().splitlines()
    assert header == "from,to,reason"
    split = [row.split(",") for row in rows]
    return [(float(start), float(end), reason) for start, end, reason in split]


def names_in(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def now() -> float:
    return float(round(time.time() * 1000))


def today() -> str:
    return time.strftime("%Y-%m-%d", time.gmtime())


def test_a_tape_is_a_file_a_ticker_kind_and_day(tmp_path: Path) -> None:
    recorder = TapeRecorder(tmp_path)
    recorder.add("BTC/USD", quote_member(NEW_YEAR_MS - 1, 1))
    recorder.add("BTC/USD", quote_member(NEW_YEAR_MS, 2))
    recorder.add("BTC/USD", TradeMember(NEW_YEAR_MS + 0.25, 585.33, 3, "buy", 3))
    recorder.add("BTC/USD", TradeMember(NEW_YEAR_MS + 0.5, 585.33, 3, None, 4))
    recorder.close()

    assert names_in(tmp_path) == {
        "BTC%2FUSD_2024-12-31.quotes.csv.gz",
        "BTC%2FUSD_2025-01-01.quotes.csv.gz",
        "BTC%2FUSD_2025-01-01.trades.csv.gz",
    }
    assert tape_of(tmp_path, "BTC%2FUSD_2024-12-31") == [quote(NEW_YEAR_MS - 1, 1)]
    assert tape_of(tmp_path, "BTC%2FUSD_2025-01-01") == [
        quote(NEW_YEAR_MS, 2),
        Trade(NEW_YEAR_MS + 0.25, 3, 58_533_000_000, 3.0, BUY),
        Trade(NEW_YEAR_MS + 0.5, 4, 58_533_000_000, 3.0, UNSIGNED),
    ]
    assert recorder.recorded_count == 4


def test_a_late_record_joins_the_tape_of_its_own_day(tmp_path: Path) -> None:
    recorder = TapeRecorder(tmp_path)
    for stamp, seq in ((NEW_YEAR_MS - 2, 1), (NEW_YEAR_MS, 3), (NEW_YEAR_MS - 1, 2)):
        recorder.add("SPY", quote_member(stamp, seq))
        recorder.write()

    assert [one.seq for one in tape_of(tmp_path, "SPY_2024-12-31")] == [1, 2]
    assert [one.seq for one in tape_of(tmp_path, "SPY_2025-01-01")] == [3]


def test_declared_gaps_are_in_a_file_beside_the_tape(tmp_path: Path) -> None:
    recorder = TapeRecorder(tmp_path)
    recorder.add_gap("SPY", NEW_YEAR_MS - 500, NEW_YEAR_MS + 500, "disconnected")
    recorder.close()

    assert gaps_of(tmp_path, "SPY_2025-01-01") == [
        (NEW_YEAR_MS - 500, NEW_YEAR_MS + 500, "disconnected")
    ]


def test_a_gap_that_was_written_in_part_is_written_over(tmp_path: Path) -> None:
    gap = (NEW_YEAR_MS, NEW_YEAR_MS + 500, "disconnected")
    for _ in range(2):
        recorder = TapeRecorder(tmp_path)
        recorder.add_gap("SPY", *gap)
        recorder.close()
        path = tmp_path / "SPY_2025-01-01.gaps.csv"
        os.truncate(path, path.stat().st_size - 5)
    recorder = TapeRecorder(tmp_path)
    recorder.add_gap("SPY", *gap)
    recorder.close()

    assert gaps_of(tmp_path, "SPY_2025-01-01") == [gap]


def test_a_gap_of_more_than_a_day_is_declared_for_its_last_day(tmp_path: Path) -> None:
    recorder = TapeRecorder(tmp_path)
    recorder.add_gap("SPY", NEW_YEAR_MS - 2 * DAY_MS, NEW_YEAR_MS + 500, "resumed")
    recorder.close()

    assert gaps_of(tmp_path, "SPY_2025-01-01") == [
        (NEW_YEAR_MS + 500 - DAY_MS, NEW_YEAR_MS + 500, "resumed")
    ]


def test_a_live_tape_that_goes_on_declares_what_was_missed(tmp_path: Path) -> None:
    first = TapeRecorder(tmp_path)
    first.add("SPY", quote_member(NEW_YEAR_MS, 1))
    first.close()

    second = TapeRecorder(tmp_path)
    second.add("SPY", quote_member(NEW_YEAR_MS + 9000, 2))
    second.add("SPY", quote_member(NEW_YEAR_MS + 9001, 3))
    second.add("QQQ", quote_member(NEW_YEAR_MS + 9001, 3))
    second.close()

    assert gaps_of(tmp_path, "SPY_2025-01-01") == [(NEW_YEAR_MS, NEW_YEAR_MS + 9000, "resumed")]
    assert not (tmp_path / "QQQ_2025-01-01.gaps.csv").exists()


@pytest.mark.parametrize(("complete_ms", "is_declared"), [(500, True), (-500, False)])
def test_a_live_tape_needs_no_other_gap_than_the_feeds_where_it_was_complete_until_then(
    tmp_path: Path, complete_ms: float, *, is_declared: bool
) -> None:
    first = TapeRecorder(tmp_path)
    first.add("SPY", quote_member(NEW_YEAR_MS, 1))
    first.close()
    gap = (NEW_YEAR_MS + 3000, NEW_YEAR_MS + 9000, "resumed")
    age_tape(tmp_path, gap[0] + complete_ms)

    second = TapeRecorder(tmp_path)
    second.add_gap("SPY", *gap)
    second.add("SPY", quote_member(gap[1], 2))
    second.close()

    own = [] if is_declared else [(NEW_YEAR_MS, gap[1], "resumed")]
    assert gaps_of(tmp_path, "SPY_2025-01-01") == [gap, *own]


def test_a_live_tape_is_known_to_be_complete_while_its_ticker_is_quiet(tmp_path: Path) -> None:
    recorder = TapeRecorder(tmp_path)
    recorder.add("SPY", quote_member(NEW_YEAR_MS, 1))
    recorder.write()
    age_tape(tmp_path, NEW_YEAR_MS)
    recorder.write()

    (path,) = tmp_path.iterdir()
    assert path.stat().st_mtime * 1000 > NEW_YEAR_MS + DAY_MS


@pytest.mark.parametrize("cut", [1, 7, 25])
def test_a_torn_end_is_left_out_and_then_written_over(tmp_path: Path, cut: int) -> None:
    file = tmp_path / "SPY_2025-01-01.quotes.csv.gz"
    recorder = TapeRecorder(tmp_path)
    for seq in (1, 2):
        recorder.add("SPY", quote_member(NEW_YEAR_MS + seq, seq))
        recorder.write()
    os.truncate(file, file.stat().st_size - cut)

    assert [one.seq for one in tape_of(tmp_path, "SPY_2025-01-01")] == [1]

    after = TapeRecorder(tmp_path)
    after.add("SPY", quote_member(NEW_YEAR_MS + 3, 3))
    after.close()
    assert [one.seq for one in tape_of(tmp_path, "SPY_2025-01-01")] == [1, 3]
    assert gzip.decompress(file.read_bytes()).count(b"ts_ms") == 1


def test_a_tape_torn_within_its_first_part_is_an_error_and_is_begun_anew(tmp_path: Path) -> None:
    file = tmp_path / "SPY_2025-01-01.quotes.csv.gz"
    file.write_bytes(gzip.compress(b"ts_ms,bid_price\n")[:-3])

    with pytest.raises(TapeError, match="can't be read as CSV"):
        read_tape(file)

    recorder = TapeRecorder(tmp_path)
    recorder.add("SPY", quote_member(NEW_YEAR_MS, 1))
    recorder.close()
    assert [one.seq for one in tape_of(tmp_path, "SPY_2025-01-01")] == [1]


def test_a_folder_that_can_not_be_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(TapeError, match="no tapes can be recorded there"):
        TapeRecorder(tmp_path / "file" / "tapes")


def test_rows_wait_for_a_disk_that_takes_none_and_the_oldest_are_declared_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(record_module, "MAX_WAITING_ROWS", 3)
    folder = tmp_path / "tapes"
    recorder = TapeRecorder(folder)
    folder.rmdir()
    for seq in range(5):
        recorder.add("SPY", quote_member(NEW_YEAR_MS + seq, seq))

    assert not recorder.write()
    folder.mkdir()
    assert recorder.write()

    assert [one.seq for one in tape_of(folder, "SPY_2025-01-01")] == [2, 3, 4]
    assert gaps_of(folder, "SPY_2025-01-01") == [(NEW_YEAR_MS, NEW_YEAR_MS + 1, "overflow")]


class FromRedis:
    """A recorder of SPY from Redis that a test polls, and starts again."""

    def __init__(self, client: redis.Redis, folder: Path) -> None:
        self._client = client
        self._folder = folder
        self.restart()

    def restart(self) -> None:
        """Begin again, as a new process does."""
        self._recorder = TapeRecorder(self._folder, declares_restarts=False)
        self._ticker = TickerRecorder("SPY", self._folder, self._recorder, Keys())

    def poll(self) -> None:
        """Record what is new in Redis."""
        self._ticker.poll(self._client, HOUR_MS)
        self._recorder.write()
        self._ticker.note_complete()

    def seqs(self) -> list[int]:
        """Return the numbers of the recorded quotes."""
        return [
            one.seq
            for path in sorted(self._folder.glob("SPY_*.quotes.csv.gz"))
            for one in tape_of(self._folder, path.name.removesuffix(".quotes.csv.gz"))
        ]

    def gaps(self) -> list[tuple[float, float, str]]:
        """Return the recorded gaps."""
        return [
            gap
            for path in sorted(self._folder.glob("*.gaps.csv"))
            for gap in gaps_of(self._folder, path.name.removesuffix(".gaps.csv"))
        ]


@pytest.fixture
def recorder(redis_client: redis.Redis, tmp_path: Path) -> FromRedis:
    return FromRedis(redis_client, tmp_path)


def test_each_record_in_redis_is_recorded_once_over_polls_and_restarts(
    redis_client: redis.Redis, recorder: FromRedis
) -> None:
    start = now() - 120_000
    publish(redis_client, "SPY", [quote(start, 1), quote(start, 2), quote(start + 70_000, 3)])
    recorder.poll()
    recorder.poll()
    publish(
        redis_client, "SPY", [quote(start + 30_000, 4), Trade(start + 70_000, 5, 10**10, 2, BUY)]
    )
    recorder.restart()
    recorder.poll()
    recorder.restart()
    publish(redis_client, "SPY", [quote(start + 71_000, 6)])
    recorder.poll()

    assert sorted(recorder.seqs()) == [1, 2, 3, 4, 5, 6]
    assert recorder.gaps() == []


def test_equal_records_without_seq_are_recorded_as_often_as_redis_has_them(
    redis_client: redis.Redis, recorder: FromRedis, tmp_path: Path
) -> None:
    stamp = now() - 1000
    fields = {"bid_price": 10, "bid_size": 1, "ask_price": 11, "ask_size": 1}
    key = "orderflow:quotes:SPY"
    redis_client.zadd(key, {json.dumps(fields | {"venue": name}): stamp for name in "AB"})
    recorder.poll()
    recorder.restart()
    redis_client.zadd(key, {json.dumps(fields | {"venue": "C"}): stamp})
    recorder.poll()
    recorder.poll()

    (path,) = tmp_path.glob("*.quotes.csv.gz")
    rows = gzip.decompress(path.read_bytes()).decode().splitlines()[1:]
    assert rows == [f"{stamp!r},10.0,1.0,11.0,1.0,"] * 3


@pytest.fixture
def set_clock() -> Iterator[Callable[[float], None]]:
    """Give a way to let this process's clock stand at a time."""
    yield clock.stand_still
    clock.stand_still(None)


def test_a_record_stamped_ahead_is_recorded_once_its_time_comes(
    redis_client: redis.Redis, recorder: FromRedis, set_clock: Callable[[float], None]
) -> None:
    began = now()
    ahead = began + 1500
    set_clock(began)
    publish(redis_client, "SPY", [quote(ahead, 2), quote(began - 1000, 1)])
    recorder.poll()
    assert recorder.seqs() == [1]

    set_clock(ahead)
    recorder.poll()
    assert recorder.seqs() == [1, 2]


def test_what_no_tick_uses_is_left_out(redis_client: redis.Redis, recorder: FromRedis) -> None:
    stamp = now() - 1000
    publish(redis_client, "SPY", [quote(stamp, 1)])
    redis_client.zadd("orderflow:quotes:SPY", {"not JSON": stamp, '{"bid_price": 1}': stamp})
    redis_client.zadd("orderflow:quotes:SPY", {"seconds": stamp / 1000, "ns": stamp * 1e6})

    recorder.poll()

    assert recorder.seqs() == [1]


def test_gaps_that_the_feed_declares_are_copied_once(
    redis_client: redis.Redis, recorder: FromRedis
) -> None:
    stamp = now() - 10_000
    gap = {"from": stamp - 500, "to": stamp, "reason": "disconnected"}
    backwards = gap | {"from": stamp + 1}
    too_long = gap | {"from": stamp - 2 * DAY_MS}
    others = {"no gap": stamp, json.dumps(backwards): stamp, json.dumps(too_long): stamp}
    redis_client.zadd("orderflow:gaps:SPY", {json.dumps(gap): stamp, **others})
    publish(redis_client, "SPY", [quote(stamp, 1)])
    recorder.poll()
    recorder.restart()
    recorder.poll()

    assert recorder.gaps() == [(stamp - 500, stamp, "disconnected")]


def test_what_redis_lost_between_two_polls_is_declared(
    redis_client: redis.Redis, recorder: FromRedis
) -> None:
    stamp = now() - 10_000
    publish(redis_client, "SPY", [quote(stamp, 1)])
    recorder.poll()
    redis_client.flushall()
    recorder.poll()
    assert recorder.gaps() == []

    publish(redis_client, "SPY", [quote(stamp + 5000, 3)])
    recorder.poll()
    recorder.poll()

    assert recorder.gaps() == [(stamp, stamp + 5000, "unknown")]
    assert recorder.seqs() == [1, 3]


def age_tape(folder: Path, stamp_ms: float) -> None:
    """Set the time at which the tapes were last known to be complete."""
    for path in folder.glob("*.csv.gz"):
        os.utime(path, (stamp_ms / 1000, stamp_ms / 1000))


def test_a_recorder_that_was_away_for_longer_than_redis_keeps_records_declares_a_gap(
    redis_client: redis.Redis, recorder: FromRedis, tmp_path: Path
) -> None:
    before = now() - 3 * HOUR_MS
    publish(redis_client, "SPY", [quote(before, 1)])
    recorder.poll()
    redis_client.zremrangebyscore("orderflow:quotes:SPY", 0, now() - HOUR_MS)
    age_tape(tmp_path, before)
    recorder.restart()
    stamp = now() - 1000
    publish(redis_client, "SPY", [quote(stamp, 2)])
    recorder.poll()

    assert recorder.gaps() == [(before, stamp, "resumed")]


def test_a_quiet_ticker_whose_records_were_trimmed_meanwhile_has_no_gap(
    redis_client: redis.Redis, recorder: FromRedis, tmp_path: Path
) -> None:
    before = now() - 3 * HOUR_MS
    publish(redis_client, "SPY", [quote(before, 1)])
    recorder.poll()
    age_tape(tmp_path, before)
    recorder.restart()
    recorder.poll()
    redis_client.zremrangebyscore("orderflow:quotes:SPY", 0, now() - HOUR_MS)
    recorder.restart()
    publish(redis_client, "SPY", [quote(now() - 1000, 2)])
    recorder.poll()

    assert recorder.gaps() == []
    assert len(recorder.seqs()) == 2


def test_an_outage_of_redis_is_waited_for(settings: Settings, tmp_path: Path) -> None:
    away = redis.Redis(port=1)
    stop = Event()
    counts: list[int] = []
    thread = Thread(
        target=lambda: counts.append(record_tickers(away, settings, ["SPY"], tmp_path, stop))
    )
    thread.start()
    stop.set()
    thread.join()

    assert counts == [0]


@pytest.mark.system
def test_no_record_is_lost_or_doubled_by_kills(
    redis_client: redis.Redis, start: Start, tmp_path: Path
) -> None:
    folder, done = tmp_path / "tapes", Event()
    written: list[Record] = []

    def write_records() -> None:
        seq = 0
        while not done.wait(0.01):
            several = [quote(now(), seq + index) for index in range(1 + seq % 37)]
            seq += len(several)
            publish(redis_client, "SPY", several)
            written.extend(several)

    def bytes_on_tape() -> int:
        return sum(path.stat().st_size for path in folder.glob("*.quotes.csv.gz"))

    thread = Thread(target=write_records)
    thread.start()
    for _ in range(5):
        before = bytes_on_tape()
        recorder = start("app", "feed", "record", "SPY", "--dir", str(folder))
        wait_until(lambda before=before: bytes_on_tape() > before, "the tape grows")
        recorder.end(signal.SIGKILL)
    done.set()
    thread.join()
    recorder = start("app", "feed", "record", "SPY", "--dir", str(folder))
    wait_until(lambda: "recording SPY" in recorder.said(), "the recorder begins")
    assert recorder.end() == 0

    assert FromRedis(redis_client, folder).seqs() == [one.seq for one in written]
    assert FromRedis(redis_client, folder).gaps() == []
