"""The command `orderflow`; a subcommand's module is imported only when it is used."""

import importlib
from collections.abc import Mapping

import click

# Some of them need pandas, whose import takes longer than an answer.
_COMMANDS: Mapping[str, str] = {
    "analyze": "app.evaluation.analyze_tape:analyze",
    "answers": "app.cli.show_answer:answers",
    "ask": "app.cli.ask_status:ask",
    "capacity": "app.operations.capacity:capacity",
    "feed": "app.feeds.commands:feed",
    "figures": "app.evaluation.figures.command:figures",
    "scorecard": "app.evaluation.scorecard.command:scorecard",
    "status": "app.cli.ask_status:show_status",
}


class _LazyGroup(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted({*super().list_commands(ctx), *_COMMANDS})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return super().get_command(ctx, cmd_name)
        module, _, name = _COMMANDS[cmd_name].partition(":")
        command: click.Command = getattr(importlib.import_module(module), name)
        return command


@click.group(cls=_LazyGroup)
def main() -> None:
    """Order flow of tickers: publish, ask, look after, analyse."""
