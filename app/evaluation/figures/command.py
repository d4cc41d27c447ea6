"""`orderflow figures`: descriptive statistics of a tape."""

from pathlib import Path

import click

from app.core.errors import OrderFlowError
from app.evaluation.figures.figure_list import compute_figures
from app.evaluation.figures.tape_tables import read_tape_tables

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command()
@click.option("--quotes", type=_FILE, required=True, help="Tape of quotes, .csv or .csv.gz.")
@click.option("--trades", type=_FILE, help="Tape of trades.")
def figures(quotes: Path, trades: Path | None) -> None:
    """Print figures that tell what a tape is like, those that its rows tell."""
    try:
        found = compute_figures(read_tape_tables(quotes, trades))
    except OrderFlowError as error:
        raise click.ClickException(str(error)) from None
    width = max((len(figure.name) for figure in found), default=0)
    for figure in found:
        click.echo(f"{figure.name:{width}}  {figure.value:>9.4f}")
