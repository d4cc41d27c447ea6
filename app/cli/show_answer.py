"""`orderflow answers show`: print an archived answer byte for byte."""

import sys

import click

from app.answers.reader import Reader
from app.core.errors import OrderFlowError, UnknownAnswer
from app.core.settings import settings


@click.group()
def answers() -> None:
    """Look up what the MCP server said."""


@answers.command()
@click.argument("answer_id", metavar="ID")
@click.option("--json", "form", flag_value="json", help="The structured form.")
@click.option("--png", "form", flag_value="png", help="The picture, of a chart's answer.")
@click.option("--question", "form", flag_value="question", help="What was asked, as JSON.")
@click.option("--text", "form", flag_value="text", default="text", help="The text.  [default]")
def show(answer_id: str, form: str) -> None:
    """Print an answer as it was sent, without a newline at its end.

    Redis has the answers of the last hour, ORDERFLOW_HISTORY those of many days.
    """
    reader = Reader.from_settings(settings())
    try:
        found = reader.archived(answer_id)
        if form not in found:
            raise UnknownAnswer(f"answer {answer_id[:40]!r} has no {form}")
    except OrderFlowError as error:
        click.echo(f"orderflow: {error}", err=True)
        sys.exit(1)
    finally:
        reader.close()
    sys.stdout.buffer.write(found[form])
