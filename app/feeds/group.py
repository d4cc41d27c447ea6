"""`orderflow feed`: its commands, of which those that need no pandas are imported alone.

Pandas takes as much memory as everything that a live feed needs.
"""

from importlib import import_module

import click

_WITHOUT_PANDAS = {
    "live": "app.feeds.live.command:live",
    "symbols": "app.feeds.live.look_commands:symbols",
    "check": "app.feeds.live.look_commands:check",
    "record": "app.feeds.record_command:record",
}


class FeedGroup(click.Group):
    """The commands of `app/feeds/commands.py`, and those that need no pandas."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of the commands."""
        from app.feeds.commands import feed as others  # noqa: PLC0415 - see above

        return sorted([*others.list_commands(ctx), *_WITHOUT_PANDAS])

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a command."""
        if cmd_name in _WITHOUT_PANDAS:
            module, _, name = _WITHOUT_PANDAS[cmd_name].partition(":")
            command: click.Command = getattr(import_module(module), name)
            return command
        from app.feeds.commands import feed as others  # noqa: PLC0415 - see above

        return others.get_command(ctx, cmd_name)


feed = FeedGroup(
    name="feed", help="Publish records, as a broker would; record them; look at live sources."
)
