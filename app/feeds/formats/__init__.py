"""Tapes of others, read as they are: Databento's DBN, and CSV files of Tardis and LOBSTER."""

from pathlib import Path
from typing import Protocol

import click

from app.feeds.formats import databento, lobster, tardis
from app.feeds.tape import Tape, TapeTable, read_tape, tape_of_tables

CSV = "csv"
"""The project's own format."""


class TapeFormat(Protocol):
    """How the tapes of a format are found and read."""

    def files_beside(self, path: Path) -> tuple[Path, Path | None]:
        """Return the file of quotes and that of trades of the tape to which a file belongs."""

    def tickers_in(self, quotes: Path) -> list[str]:
        """Return the tickers of a tape, as its source names them; raises `TapeError`."""

    def read_tables(
        self, quotes: Path, trades: Path | None, ticker: str | None
    ) -> tuple[TapeTable, TapeTable | None]:
        """Return the quotes and trades, of one ticker where there are several.

        Raises `TapeError`.
        """


FORMATS: dict[str, TapeFormat] = {"databento": databento, "tardis": tardis, "lobster": lobster}
"""The formats of others by name."""

format_option = click.option(
    "--format",
    "form",
    type=click.Choice([CSV, *FORMATS]),
    help="Whose format the tape has; else that of its name: .dbn and .dbn.zst are Databento's.",
)


def format_of(path: Path, given: str | None = None) -> str:
    """Return the format of a file.

    >>> format_of(Path("SPY.dbn.zst")), format_of(Path("SPY.quotes.csv.gz"))
    ('databento', 'csv')
    """
    return given or ("databento" if path.name.endswith((".dbn", ".dbn.zst")) else CSV)


def read_tape_of(  # noqa: PLR0913, PLR0917 - the options of commands
    quotes: Path,
    trades: Path | None,
    shift_ms: int,
    unit: str,
    form: str | None,
    ticker: str | None,
) -> Tape:
    """Read a tape of any format; `unit` is that of the stamps of our own.

    Raises `TapeError`.
    """
    found = FORMATS.get(format_of(quotes, form))
    if found is None:
        return read_tape(quotes, trades, shift_ms, unit)
    quotes, beside = found.files_beside(quotes)
    return tape_of_tables(*found.read_tables(quotes, trades or beside, ticker), shift_ms)
