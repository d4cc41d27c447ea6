"""Answers over a tape are those that a tool would have given at each moment."""

import json
from pathlib import Path

from click.testing import CliRunner

from app.cli import main
from app.core import clock
from app.core.settings import Settings
from app.evaluation.scorecard.simulated_books import simulated_day
from app.evaluation.tape_answers import answers_over
from app.evaluation.tape_server import ANSWERED_AFTER_MS
from app.feeds.tape import Tape, read_tape


def tape_of(seconds: int) -> Tape:
    return Tape(simulated_day("AAPL", 1, seconds), [])


def test_each_answer_is_of_its_own_moment() -> None:
    tape = tape_of(90)

    answers = list(answers_over("AAPL", tape, Settings(), 20, "30s"))

    seconds = [one.as_of_ms // 1000 for one in answers]
    assert [second % 20 for second in seconds] == [0] * len(seconds)
    assert len(answers) in (4, 5)
    for one in answers:
        assert one.reply is not None
        said = one.reply.structured_content
        assert (said["as_of"], said["ticker"]) == (one.as_of_ms, "AAPL")
        assert said["age_seconds"] == 0.3
        assert "\nlast 30 s, covered " in one.reply.text
        quotes = [it for it in tape.records if it.stamp <= one.as_of_ms and hasattr(it, "bid_size")]
        assert said["metrics"]["bid_size"] == quotes[-1].bid_size


def test_the_same_tape_has_the_same_answers_however_long_they_take() -> None:
    tape = tape_of(40)

    first, second = (list(answers_over("AAPL", tape, Settings(), 5)) for _ in range(2))

    assert len(first) > 5
    assert [it.reply and it.reply.text for it in first] == [
        it.reply and it.reply.text for it in second
    ]


def test_the_clock_stands_while_it_is_asked() -> None:
    for one in answers_over("AAPL", tape_of(10), Settings(), 2):
        assert clock.now_ms() == one.as_of_ms + ANSWERED_AFTER_MS


def test_the_process_has_its_clock_back_afterwards() -> None:
    list(answers_over("AAPL", tape_of(5), Settings(), 2))

    assert clock.now_ms() > 1_790_000_000_000


def test_the_command_writes_text_and_json(tmp_path: Path) -> None:
    made = CliRunner().invoke(
        main, ["feed", "simulate", "--tickers", "SPY", "--seconds", "30", "--tape", str(tmp_path)]
    )
    assert made.exit_code == 0, made.output
    [quotes], [trades] = tmp_path.glob("*quotes*"), tmp_path.glob("*trades*")
    assert read_tape(quotes, trades).records

    files = ["--quotes", str(quotes), "--trades", str(trades), "--ticker", "SPY"]
    done = CliRunner().invoke(
        main, ["analyze", *files, "--out", str(tmp_path / "out"), "--answers", "10s"]
    )

    assert done.exit_code == 0, done.output
    lines = (tmp_path / "out" / "answers.jsonl").read_text().splitlines()
    text = (tmp_path / "out" / "answers.txt").read_text()
    assert len(lines) in (3, 4)
    assert [json.loads(line)["answer"]["ticker"] for line in lines] == ["SPY"] * len(lines)
    assert text.count("\nlast 300 s, covered ") == len(lines)
