"""`orderflow analyze` says of a tape what ticks say of the same records."""

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import redis
from click.testing import CliRunner

from app.core.settings import Settings, settings
from app.evaluation.analyze_tape import analyze
from app.evaluation.tape_server import TapeServer
from app.feeds.publish import member_of
from app.feeds.tape import Tape, read_tape
from app.feeds.tape_clock import read_usable_tape

START_MS = 1_700_000_000_000


def tape_files(folder: Path, scale: Decimal, odd: str = "") -> tuple[Path, Path]:
    """Write a tape of prices around `scale`, with an odd print if one is given."""
    quotes = ["ts_ms,bid_price,bid_size,ask_price,ask_size,seq"]
    trades = ["ts_ms,price,size,aggressor,seq"]
    for step in range(300):
        bid = scale + (step * 7 % 23) * scale / 1000
        at = START_MS + 200 * step + 50
        quotes.append(f"{at},{bid},{1 + step % 3},{bid + scale / 1000},2,{2 * step + 1}")
        if step % 4 == 0:
            price = odd if odd and step == 200 else bid
            trades.append(f"{at - 10},{price},1,sell,{2 * step}")
    paths = folder / "q.csv", folder / "t.csv"
    for path, lines in zip(paths, (quotes, trades), strict=True):
        path.write_text("\n".join(lines) + "\n")
    return paths


def analyzed(folder: Path, quotes: Path, trades: Path) -> tuple[list[dict[str, Any]], str]:
    """Run the command; return the metrics' lines and what it printed."""
    out = folder / "out"
    words = ["--quotes", str(quotes), "--trades", str(trades), "--ticker", "T", "--out", str(out)]
    result = CliRunner().invoke(analyze, words)
    assert result.exit_code == 0, result.output
    lines = (out / "metrics.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines], result.output


@pytest.mark.parametrize("scale", ["0.000009", "0.000000000009", "145000000", "80000000000"])
def test_prices_of_any_size_are_published_as_the_tape_has_them(tmp_path: Path, scale: str) -> None:
    quotes, trades = tape_files(tmp_path, Decimal(scale))

    lines, said = analyzed(tmp_path, quotes, trades)

    last = [line for line in lines if line["window"] == "1min"][-1]
    written = quotes.read_text().splitlines()[-1].split(",")
    assert (last["bid_price"], last["ask_price"]) == (float(written[1]), float(written[3]))
    assert last["avg_spread"] == pytest.approx(float(scale) / 1000, rel=1e-6)
    assert last["quality"] == {}
    assert "left out" not in said


@pytest.mark.parametrize(("scale", "odd"), [("0.000009", "90000000000"), ("58.5", "1e-16")])
def test_a_price_that_does_not_fit_the_others_is_left_out_and_told(
    tmp_path: Path, scale: str, odd: str
) -> None:
    lines, said = analyzed(tmp_path, *tape_files(tmp_path, Decimal(scale), odd))

    assert lines[-1]["quality"] == {"rejected": {"inexact_price": 1}}
    assert lines[-1]["trade_count"] == 74
    assert "inexact_price" in said


@pytest.mark.parametrize("scale", ["0.000009", "58.5", "80000000000"])
def test_a_tape_is_published_to_redis_with_its_own_prices(tmp_path: Path, scale: str) -> None:
    tape: Tape = read_tape(*tape_files(tmp_path, Decimal(scale)))

    members = [json.loads(member_of(record, tape.digits)) for record in tape.records]

    rows = (tmp_path / "q.csv").read_text().splitlines()[1:]
    shown = [member["bid_price"] for member in members if "bid_price" in member]
    assert shown == [float(row.split(",")[1]) for row in rows]


@pytest.mark.parametrize(("rule", "volume", "lines"), [("T=24/7", 75, 1), ("T=24/5", 75, 1)])
def test_the_session_is_that_of_the_ticker_s_calendar(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rule: str, volume: float, lines: int
) -> None:
    monkeypatch.setenv("ORDERFLOW_CALENDARS", rule)
    settings.cache_clear()
    try:
        analyzed(tmp_path, *tape_files(tmp_path, Decimal("58.5")))
    finally:
        settings.cache_clear()

    written = (tmp_path / "out" / "session.jsonl").read_text().splitlines()
    assert len(written) == lines
    said = json.loads(written[-1])
    assert (said["calendar"], said["volume"]) == (rule[2:], volume)
    assert said["since"] == START_MS + 50
    outcomes = (tmp_path / "out" / "outcomes.jsonl").read_text().splitlines()
    assert all(json.loads(line)["n"] > 0 for line in outcomes)


def test_a_tape_with_gaps_says_what_ticks_say_that_read_them_declared(
    tmp_path: Path, redis_client: redis.Redis, settings: Settings
) -> None:
    paths = tape_files(tmp_path, Decimal("58.5"))
    lost = START_MS + 20_300, START_MS + 27_250.5
    for path in paths:
        head, *rows = path.read_text().splitlines()
        kept = [row for row in rows if not lost[0] < float(row.split(",")[0]) < lost[1]]
        path.write_text("\n".join([head, *kept]) + "\n")
    (tmp_path / "q.gaps.csv").write_text(f"from,to,reason\n{lost[0]},{lost[1]},overflow\n")

    lines, _ = analyzed(tmp_path, *paths)

    assert lines[-1]["quality"] == {"gaps": [[*lost]]}
    tape = read_usable_tape(*paths)
    server = TapeServer("T", tape, settings)
    by_tick = {line["as_of"]: line for line in lines if line["window"] == "1min"}
    for as_of, line in by_tick.items():
        server.advance(as_of)
        fields = redis_client.hgetall("orderflow:metrics:T:1min")
        told = {name.decode(): text.decode() for name, text in fields.items()}
        assert json.loads(told["quality"]) == line["quality"]
        assert float(told["covered_seconds"]) == line["covered_seconds"]
        assert told["ofi"] == str(line["ofi"])
    server.close()


@pytest.mark.parametrize("row", ["5,5,x", "x,7,x", "7", f"{START_MS},{START_MS + 86_400_001},x"])
def test_a_row_that_is_no_gap_is_told(tmp_path: Path, row: str) -> None:
    quotes, trades = tape_files(tmp_path, Decimal("58.5"))
    (tmp_path / "q.gaps.csv").write_text(f"from,to,reason\n{row}\n")
    words = ["--quotes", str(quotes), "--trades", str(trades), "--ticker", "T", "--out", "out"]

    result = CliRunner().invoke(analyze, words)

    assert result.exit_code == 1
    assert "q.gaps.csv: row 1:" in result.output
