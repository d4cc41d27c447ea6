"""Tapes whose stamps can't be true are refused with a line that says what to do."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from app.cli import main

NOON_MS = 1_704_196_800_000
QUOTE_HEADER = "ts_ms,bid_price,bid_size,ask_price,ask_size"
PER_MS = {"s": 0.001, "ms": 1, "us": 1000, "ns": 1_000_000}


def tape(path: Path, stamps_ms: list[float], unit: str = "ms", quote: str = "10,1,11,1") -> Path:
    """Write a tape of quotes whose stamps are in a unit."""
    rows = [f"{round(stamp * PER_MS[unit], 6):.16g},{quote}" for stamp in stamps_ms]
    path.write_text("\n".join([QUOTE_HEADER, *rows]) + "\n")
    return path


def steps(count: int, step_ms: float) -> list[float]:
    return [NOON_MS + 125 + step * step_ms for step in range(count)]


def analyze(quotes: Path, *options: str) -> Result:
    out = str(quotes.parent / "out")
    words = ["analyze", "--quotes", str(quotes), "--ticker", "SPY", "--out", out, *options]
    return CliRunner().invoke(main, words)


def replay(quotes: Path, *options: str) -> Result:
    return CliRunner().invoke(main, ["feed", "replay", str(quotes), "--ticker", "SPY", *options])


def scorecard(quotes: Path, *options: str) -> Result:
    trades = quotes.with_name("t.csv")
    trades.write_text("ts_ms,price,size,aggressor\n")
    out = str(quotes.parent / "page.md")
    words = ["scorecard", "--quick", "--tape", str(quotes), "--trades", str(trades), "--out", out]
    return CliRunner().invoke(main, [*words, *options])


def assert_one_line(result: Result, *said: str) -> None:
    assert result.exit_code == 1
    assert isinstance(result.exception, SystemExit)
    [line] = result.output.strip().splitlines()
    assert line.startswith("Error: ")
    for words in said:
        assert words in line


COMMANDS = pytest.mark.parametrize("command", [analyze, replay, scorecard])


@COMMANDS
@pytest.mark.parametrize("unit", ["s", "us", "ns"])
@pytest.mark.parametrize(
    ("count", "step_ms"), [(20, 250.0), (3, 1000.0), (1, 0.0), (50, 0.001), (20, 60_000.0)]
)
def test_another_unit_is_named_with_the_option_to_give(
    tmp_path: Path, command, unit: str, count: int, step_ms: float
) -> None:
    result = command(tape(tmp_path / "q.csv", steps(count, step_ms), unit))

    assert_one_line(result, "q.csv: the stamps are no ms: ", f"; give --stamps {unit}")


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_with_its_unit_a_tape_gives_the_results_of_milliseconds(tmp_path: Path, unit: str) -> None:
    stamps = [float(stamp // 1000 * 1000) for stamp in steps(12, 1000.0)]
    expected = analyze(tape(tmp_path / "ms.csv", stamps))
    plain = (tmp_path / "out" / "metrics.jsonl").read_text()

    result = analyze(tape(tmp_path / "q.csv", stamps, unit), "--stamps", unit)

    assert (expected.exit_code, result.exit_code) == (0, 0), result.output
    assert (tmp_path / "out" / "metrics.jsonl").read_text() == plain
    assert json.loads(plain.splitlines()[-1])["as_of"] == NOON_MS + 11_000


@COMMANDS
@pytest.mark.parametrize(
    ("unit", "given"), [("us", "ms"), ("ns", "us"), ("ms", "s"), ("ms", "ns"), ("s", "us")]
)
def test_a_wrong_unit_is_refused_like_none(tmp_path: Path, command, unit: str, given: str) -> None:
    result = command(tape(tmp_path / "q.csv", steps(20, 250.0), unit), "--stamps", given)

    assert_one_line(result, f"the stamps are no {given}: ", f"; give --stamps {unit}")


@COMMANDS
@pytest.mark.parametrize("gap_seconds", [1002, 16 * 3600, 30 * 86_400])
def test_a_long_gap_asks_whether_it_is_true(tmp_path: Path, command, gap_seconds: int) -> None:
    stamps = [*steps(5, 250.0), *(stamp + gap_seconds * 1000 for stamp in steps(5, 250.0))]

    result = command(tape(tmp_path / "q.csv", stamps))

    assert_one_line(
        result, f"no record for {gap_seconds - 1} s after", "2024-01-02 12:00:01 UTC",
        "give --stamps ms if that is true, else the unit",
    )  # fmt: skip


def test_a_gap_that_is_true_is_analysed(tmp_path: Path) -> None:
    path = tape(tmp_path / "q.csv", [*steps(5, 250.0), NOON_MS + 1_500_000])

    result = analyze(path, "--stamps", "ms")

    assert result.exit_code == 0, result.output
    assert "6 records, 1500 ticks" in result.output


def test_a_quiet_tape_is_analysed_as_it_is(tmp_path: Path) -> None:
    result = analyze(tape(tmp_path / "q.csv", steps(3, 999_000.0)))

    assert result.exit_code == 0, result.output


@pytest.mark.parametrize(
    ("stamps", "said"),
    [
        ([34_200_000.0, 34_200_250.0], "34200000 would be 1970-01-01 09:30:00 UTC; ts_ms holds"),
        ([500_000_000_000.0] * 3, "would be 1985-11-05 00:53:20 UTC; ts_ms holds"),
        ([0.0], "0 would be 1970-01-01 00:00:00 UTC; ts_ms holds"),
        ([-1e300], "would be no year that there is; ts_ms holds"),
        ([1e300, 1e17], "would be no year that there is; ts_ms holds"),
    ],
)
def test_a_time_of_no_unit_is_named(tmp_path: Path, stamps: list[float], said: str) -> None:
    assert_one_line(analyze(tape(tmp_path / "q.csv", stamps)), said, "what --stamps says")


def test_a_shift_counts_before_the_clock_is_judged(tmp_path: Path) -> None:
    path = tape(tmp_path / "q.csv", [34_200_125.0, 34_201_125.0])

    assert analyze(path, "--shift-ms", "1704153600000").exit_code == 0


@pytest.mark.parametrize("stray", [NOON_MS * 1000.0, NOON_MS / 1000, 0.0, 1e300])
def test_a_stray_row_is_left_out_and_counted(tmp_path: Path, stray: float) -> None:
    result = analyze(tape(tmp_path / "q.csv", [*steps(9, 250.0), stray]))

    assert result.exit_code == 0, result.output
    assert "9 records, 3 ticks" in result.output
    reason = "not_ms" if stray > NOON_MS else "seconds_not_ms"
    assert f"left out: {{'{reason}': 1}}" in result.output


@COMMANDS
@pytest.mark.parametrize(
    ("quote", "reason"),
    [
        ("10,-1,11,1", "negative_size"),
        ("0,1,11,1", "non_positive_price"),
        ("10,,11,1", "missing_number"),
        ("inf,1,11,1", "not_finite"),
    ],
)
def test_a_tape_of_which_every_row_is_refused_says_why(
    tmp_path: Path, command, quote: str, reason: str
) -> None:
    result = command(tape(tmp_path / "q.csv", steps(7, 250.0), quote=quote))

    assert_one_line(result, f"q.csv: no usable record; left out: {{'{reason}': 7}}")


@COMMANDS
def test_a_tape_without_a_row_says_so(tmp_path: Path, command) -> None:
    assert_one_line(command(tape(tmp_path / "q.csv", [])), "no usable record")
