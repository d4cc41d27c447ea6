"""The command `orderflow`; a subcommand's module is imported only when it is used.

`orderflow_command.py` adds `orderflow mcp`, which is no part of `app`.
"""

import importlib
from collections.abc import Mapping
from typing import Any

import click

# Some of them need pandas, whose import takes longer than an answer.
COMMANDS: Mapping[str, str] = {
    "analyze": "app.evaluation.analyze_tape:analyze",
    "answers": "app.cli.show_answer:answers",
    "ask": "app.cli.ask_status:ask",
    "capacity": "app.operations.capacity:capacity",
    "events": "app.cli.events:events",
    "feed": "app.feeds.group:feed",
    "figures": "app.evaluation.figures.command:figures",
    "history": "app.history.command:history",
    "scorecard": "app.evaluation.scorecard.command:scorecard",
    "status": "app.cli.ask_status:show_status",
    "top": "app.cli.top:top",
    "watch": "app.cli.watch:watch",
}
HELP = "Order flow of tickers: publish, ask, look after, analyse."


class LazyGroup(click.Group):
    """A group of commands, each given as `module:name`."""

    def __init__(self, modules: Mapping[str, str], **options: Any) -> None:  # noqa: ANN401
        super().__init__(**options)
        self._modules = modules

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of the commands."""
        return sorted({*super().list_commands(ctx), *self._modules})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a command."""
        if cmd_name not in self._modules:
            return super().get_command(ctx, cmd_name)
        module, _, name = self._modules[cmd_name].partition(":")
        command: click.Command = getattr(importlib.import_module(module), name)
        return command


main = LazyGroup(COMMANDS, name="orderflow", help=HELP)
