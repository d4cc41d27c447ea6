"""Measure the speed of `orderflow analyze`, in multiples of the tape's duration."""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from app.feeds.tape import read_tape
from benchmarks.harness import ROOT, spread, table

_TICKERS = ("AAPL", "SPY")


def run(*, quick: bool) -> str:
    """Measure, and return the README's section."""
    seconds, repeats = (300, 2) if quick else (3600, 3)
    with tempfile.TemporaryDirectory() as directory:
        tapes = Path(directory)
        _run(
            "feed",
            "simulate",
            "--tape",
            directory,
            "--seconds",
            f"{seconds}",
            "--tickers",
            ",".join(_TICKERS),
        )
        rows = [_row(tapes, ticker, seconds, repeats) for ticker in _TICKERS]
    head = ("tape", "records/s", "start-up, s", "whole command, s", "× real time")
    return "\n\n".join(
        [
            f"`orderflow analyze` over {seconds} s of simulated tape, start-up included.",
            table(head, rows),
        ]
    )


def _row(tapes: Path, ticker: str, seconds: int, repeats: int) -> tuple[str, ...]:
    quotes = next(path for path in tapes.glob(f"{ticker}*quotes*"))
    trades = next(path for path in tapes.glob(f"{ticker}*trades*"))
    records = len(read_tape(quotes, trades).records)
    words = ["--quotes", f"{quotes}", "--trades", f"{trades}", "--ticker", ticker]
    took = [_run("analyze", *words, "--out", f"{tapes / 'out'}") for _ in range(repeats)]
    start_up = min(_run("analyze", "--help") for _ in range(2))
    times = [seconds / one for one in took]
    return (ticker, f"{records / seconds:.0f}", f"{start_up:.1f}", spread(took, 1), spread(times))


def _run(*words: str) -> float:
    start = time.perf_counter()
    subprocess.run(  # noqa: S603 - our own command
        [sys.executable, "-m", "app", *words],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        check=True,
        capture_output=True,
    )
    return time.perf_counter() - start
