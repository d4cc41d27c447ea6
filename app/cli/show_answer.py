"""`orderflow answers show`: print an archived answer byte for byte."""

import sys

import click

from app.answers.reader import store_errors
from app.core.errors import OrderFlowError, UnknownAnswer
from app.core.settings import settings
from app.storage.answer_archive import AnswerArchive
from app.storage.redis_client import connect


@click.group()
def answers() -> None:
    """Look up what the MCP server said."""


@answers.command()
@click.argument("answer_id", metavar="ID")
@click.option("--json", "form", flag_value="json", help="The structured form.")
@click.option("--png", "form", flag_value="png", help="The picture, of a chart's answer.")
@click.option("--text", "form", flag_value="text", default="text", help="The text.  [default]")
def show(answer_id: str, form: str) -> None:
    """Print an answer of the last hour as it was sent, without a newline at its end."""
    with connect(settings()) as client:
        try:
            with store_errors(client):
                found = AnswerArchive(client).find(answer_id)
            if form not in found:
                raise UnknownAnswer(f"answer {answer_id[:40]!r} has no {form}")
        except OrderFlowError as error:
            click.echo(f"orderflow: {error}", err=True)
            sys.exit(1)
    sys.stdout.buffer.write(found[form])
