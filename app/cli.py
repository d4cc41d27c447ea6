"""The command `orderflow`; a subcommand's module is imported only when it is used."""

import importlib
import json
import sys
from collections.abc import Mapping
from typing import NoReturn

import click

from app.errors import OrderFlowError

# Importing pandas, which `analyze` and `feed` need, takes longer than an answer.
_ELSEWHERE: Mapping[str, str] = {
    "feed": "app.feeds.commands:feed",
    "analyze": "app.analyze:analyze",
}


class _Lazy(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted({*super().list_commands(ctx), *_ELSEWHERE})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _ELSEWHERE:
            return super().get_command(ctx, cmd_name)
        module, _, name = _ELSEWHERE[cmd_name].partition(":")
        command: click.Command = getattr(importlib.import_module(module), name)
        return command


@click.group(cls=_Lazy)
def main() -> None:
    """Order flow of tickers: publish, ask, look after, analyse."""


@main.command()
@click.argument("ticker")
@click.option("--history", default="5mins", show_default=True, help="10 s to 1 h: 30s, 5mins, 1h.")
@click.option("--json", "as_json", is_flag=True, help="Print the structured form.")
def ask(ticker: str, history: str, *, as_json: bool) -> None:
    """Print what the MCP tool would answer about TICKER."""
    from app import asking
    from app.answer_text import as_text
    from app.reader import Reader
    from app.settings import settings

    reader = Reader.of(settings())
    try:
        answer = asking.ask(reader, ticker, history)
    except OrderFlowError as error:
        _fail(error)
    finally:
        reader.close()
    click.echo(_compact(answer.as_json()) if as_json else as_text(answer))


@main.command()
@click.option("--json", "as_json", is_flag=True, help="Print it for a program.")
@click.option("--check", is_flag=True, help="Exit with 1 where something is wrong.")
def status(*, as_json: bool, check: bool) -> None:
    """Print how Redis, the analysis and the tickers fare."""
    from app import status as fares
    from app.connect import connect
    from app.settings import settings

    chosen = settings()
    with connect(chosen) as client:
        try:
            found = fares.Inspection(client, chosen).status()
        except OrderFlowError as error:
            _fail(error)
    click.echo(_compact(fares.as_json(found)) if as_json else fares.as_text(found))
    if check and found.troubles:
        sys.exit(1)


def _compact(value: object) -> str:
    return json.dumps(value, separators=(",", ":"))


def _fail(error: OrderFlowError) -> NoReturn:
    click.echo(f"orderflow: {error}", err=True)
    sys.exit(1)


if __name__ == "__main__":
    main()
