"""`orderflow figures`: descriptive statistics of a tape."""

import math
from pathlib import Path

import click

from app.core.errors import OrderFlowError
from app.evaluation.figures.figure_list import compute_figures
from app.evaluation.figures.tape_tables import read_tape_tables

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command()
@click.option("--quotes", type=_FILE, required=True, help="Tape of quotes, .csv or .csv.gz.")
@click.option("--trades", type=_FILE, required=True, help="Tape of trades.")
def figures(quotes: Path, trades: Path) -> None:
    """Print figures that tell what a tape is like."""
    try:
        found = compute_figures(read_tape_tables(quotes, trades))
    except OrderFlowError as error:
        raise click.ClickException(str(error)) from None
    width = max(len(figure.name) for figure in found)
    for figure in found:
        value = "-" if math.isnan(figure.value) else f"{figure.value:.4f}"
        click.echo(f"{figure.name:{width}}  {value:>9}")
