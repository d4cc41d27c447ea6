"""Plots of the scorecard: precision, recall and delays."""

from pathlib import Path

import matplotlib as mpl
import numpy as np

mpl.use("Agg")

from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from app.analysis.windows import WINDOWS
from app.evaluation.scorecard.calibration import RANK_BINS
from app.evaluation.scorecard.planting import KINDS
from app.evaluation.scorecard.rows import SIZES, Scorecard

NAMES = tuple(kind.name for kind in KINDS)


def draw(scorecard: Scorecard, folder: Path) -> list[str]:
    """Draw all plots into `folder` and return their file names."""
    folder.mkdir(parents=True, exist_ok=True)
    # Random ids would change the files at each run.
    mpl.rcParams["svg.hashsalt"] = "scorecard"
    return [
        _shares(scorecard, folder, "precision"),
        _shares(scorecard, folder, "recall"),
        _delays(scorecard, folder),
        *(_calibrations(scorecard, folder) if scorecard.calibrations else ()),
    ]


def _shares(scorecard: Scorecard, folder: Path, what: str) -> str:
    figure, axes = plt.subplots(figsize=(8, 5))
    for place, size in enumerate(SIZES):
        shares = [getattr(scorecard.pooled(name, size), what) for name in NAMES]
        ys = [i + (place - 1) * 0.22 for i, found in enumerate(shares) if found.total]
        known = [found for found in shares if found.total]
        lows = [max(0.0, found.value - found.low) for found in known]
        highs = [max(0.0, found.high - found.value) for found in known]
        values = [found.value for found in known]
        axes.errorbar(values, ys, xerr=[lows, highs], fmt="o", ms=4, lw=1, label=size)
    axes.axvline(0.9, color="0.7", lw=1)
    axes.set_xlabel(f"{what}, Wilson 95 % interval")
    return _saved(figure, axes, folder / f"{what}.svg")


def _delays(scorecard: Scorecard, folder: Path) -> str:
    figure, axes = plt.subplots(figsize=(8, 5))
    for place, size in enumerate(SIZES):
        delays = [scorecard.pooled(name, size).median_delay_seconds for name in NAMES]
        axes.plot(
            delays, [i + (place - 1) * 0.22 for i in range(len(NAMES))], "o", ms=4, label=size
        )
    axes.set_xlabel("median delay, s")
    return _saved(figure, axes, folder / "delay.svg")


def _calibrations(scorecard: Scorecard, folder: Path) -> list[str]:
    """Draw how often ranks and return periods are what they are, beside what they promise."""
    return [
        *(_ranks(scorecard, folder, window) for window in WINDOWS),
        *(
            [_returns(scorecard, folder)]
            if any(c.return_ratios(10) for c in scorecard.calibrations)
            else []
        ),
    ]


def _ranks(scorecard: Scorecard, folder: Path, window: str) -> str:
    figure, axes = plt.subplots(figsize=(6, 5))
    edges = np.arange(1, RANK_BINS + 1) / RANK_BINS
    for found in scorecard.calibrations:
        counts = found.ranks[window].counts.sum(axis=(0, 1))
        if counts.sum():
            axes.plot(edges, np.cumsum(counts) / counts.sum() - edges, lw=1, label=found.tape)
    axes.axhline(0, color="0.7", lw=1)
    axes.set_xlabel(f"rank of {window}")
    axes.set_ylabel("share of seconds with at most this rank, less the rank")
    return _written(figure, axes, folder / f"ranks-{window}.svg")


def _returns(scorecard: Scorecard, folder: Path) -> str:
    figure, axes = plt.subplots(figsize=(6, 5))
    minutes = list(range(5, 61, 5))
    for found in scorecard.calibrations:
        axes.plot(minutes, [found.pooled(R) for R in minutes], "o-", ms=3, lw=1, label=found.tape)
    axes.axhline(1, color="0.7", lw=1)
    axes.set_xlabel("return period R, minutes")
    axes.set_ylabel("events of at least R, for one that R promises")
    return _written(figure, axes, folder / "returns.svg")


def _saved(figure: Figure, axes: Axes, path: Path) -> str:
    axes.set_yticks(range(len(NAMES)), NAMES)
    axes.invert_yaxis()
    return _written(figure, axes, path)


def _written(figure: Figure, axes: Axes, path: Path) -> str:
    axes.legend()
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)
    return path.name
