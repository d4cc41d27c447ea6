"""`orderflow scorecard`: measure the detectors against known truth."""

from pathlib import Path

import click
from tqdm import tqdm

from app.core.errors import OrderFlowError
from app.evaluation.scorecard.agreement import ReferenceFactory, import_reference
from app.evaluation.scorecard.calibration import calibrate
from app.evaluation.scorecard.real import score_labelled_tape
from app.evaluation.scorecard.report import render_page
from app.evaluation.scorecard.rows import (
    FULL,
    QUICK,
    RunSize,
    Scorecard,
    ScoreRow,
    calibrate_on_days,
    count_steps,
    plant_into_books,
    plant_into_tape,
    score_agreement_on_books,
    score_agreement_on_tape,
    score_null_tapes,
    score_nulls_of_tape,
)
from app.feeds.formats import CSV, format_of, format_option
from app.feeds.tape_clock import read_usable_tape, stamps_option

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
MIN_PLANTED_TAPE_MS = 3_600_000.0
MIN_CALIBRATED_TAPE_MS = 7_200_000.0
_FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)


def score_books(run_size: RunSize, result: Scorecard) -> None:
    """Score plantings into simulated books and null tapes, with a progress bar."""
    with tqdm(total=count_steps(run_size), unit="score", disable=None) as progress:
        for _ in plant_into_books(run_size, result):
            progress.update()
        for _ in score_null_tapes(run_size, result):
            progress.update()
        for _ in calibrate_on_days(run_size, result):
            progress.update()


def add_tape(  # noqa: PLR0913, PLR0917 - the options
    result: Scorecard,
    quotes: Path,
    trades: Path | None,
    folder: Path,
    reference: ReferenceFactory | None,
    stamps: str | None = None,
    form: str | None = None,
) -> None:
    """Score a labelled tape; the label files begin with the tape's name."""
    stem = quotes.name.split(".quotes")[0]
    records = read_usable_tape(quotes, trades, 0, stamps, form).records
    if records[-1].stamp - records[0].stamp > MIN_PLANTED_TAPE_MS:
        for _ in tqdm(plant_into_tape(stem, records, result), unit="score", disable=None):
            pass
        score_nulls_of_tape(stem, records, result)
    if records[-1].stamp - records[0].stamp > MIN_CALIBRATED_TAPE_MS:
        result.calibrations.append(calibrate(stem, records))
    if reference is not None:
        score_agreement_on_tape(stem, records, reference, result)
    scored, rates = score_labelled_tape(quotes, trades, folder, stem, stamps, form)
    result.real += [ScoreRow(name, stem, "", tally) for name, tally in scored]
    result.rates[stem] = rates


@click.command()
@click.option("--tape", type=_FILE, multiple=True, help="Tape of quotes with labels; repeatable.")
@click.option("--trades", type=_FILE, multiple=True, help="Its trades, in the same order.")
@click.option("--labels", type=_FOLDER, help="Folder of the label files.")
@click.option("--definitions", "place", help="Plain definitions to agree with, module:callable.")
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), default="docs/scorecard.md")
@stamps_option
@format_option
@click.option("--quick", is_flag=True, help="A few plantings into one book only.")
def scorecard(  # noqa: PLR0913, PLR0917 - one for each option
    tape: tuple[Path, ...],
    trades: tuple[Path, ...],
    labels: Path | None,
    place: str | None,
    out: Path,
    stamps: str | None,
    form: str | None,
    *,
    quick: bool,
) -> None:
    """Score every detector against known truth and write the page."""
    if len(tape) != len(trades) and (trades or any(format_of(one, form) == CSV for one in tape)):
        raise click.UsageError("each --tape needs its --trades")
    files = zip(tape, trades or [None] * len(tape), strict=True)
    run_size, result = (QUICK if quick else FULL), Scorecard()
    reference = import_reference(place) if place is not None else None
    try:
        for quotes_path, trades_path in files:
            folder = labels or quotes_path.parent
            add_tape(result, quotes_path, trades_path, folder, reference, stamps, form)
    except OrderFlowError as error:
        raise click.ClickException(str(error)) from None
    score_books(run_size, result)
    if reference is not None:
        score_agreement_on_books(run_size, reference, result)
    text = render_page(result, run_size, _plots(result, out))
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(text)
    click.echo(text)


def _plots(result: Scorecard, out: Path) -> list[str]:
    try:
        # matplotlib comes with the development extra only.
        from app.evaluation.scorecard.plots import draw  # noqa: PLC0415
    except ImportError:
        click.echo("no plots: matplotlib is not installed", err=True)
        return []
    folder = out.parent / out.stem
    return [f"{folder.name}/{name}" for name in draw(result, folder)]
