"""`orderflow feed`: its commands, of which `live` is imported alone.

The others need pandas, which takes as much memory as everything that a live feed needs.
"""

import click


class FeedGroup(click.Group):
    """The commands of `app/feeds/commands.py`, and `live`."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of the commands."""
        from app.feeds.commands import feed as others  # noqa: PLC0415 - see above

        return sorted([*others.list_commands(ctx), "live"])

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a command."""
        if cmd_name == "live":
            from app.feeds.live.command import live  # noqa: PLC0415 - see above

            return live
        from app.feeds.commands import feed as others  # noqa: PLC0415 - see above

        return others.get_command(ctx, cmd_name)


feed = FeedGroup(name="feed", help="Publish records, as a broker would.")
