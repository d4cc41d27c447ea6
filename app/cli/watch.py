"""`orderflow watch`: print what newly meets a condition, and post it to a webhook."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import click

from app.answers.durations import age
from app.answers.reader import Reader
from app.answers.rendering import compact
from app.core import clock
from app.core.errors import NoAnswer, OrderFlowError, SettingError, StoreUnavailable
from app.core.settings import Settings, settings
from app.waiting.condition import DEFAULT_CONDITION
from app.waiting.follow import follow
from app.waiting.questions import prepare_watch
from app.waiting.silences import TickChange
from app.waiting.since import pack_cursors, unpack_cursors
from app.waiting.wait_answer import event_text, number_text, waited_facts
from app.waiting.watch import Matches, Watch
from app.waiting.webhook import Webhook

_PROBED_SECONDS = 10


class Fact(NamedTuple):
    """One thing that met the condition: an id of its own, a line of text and its JSON."""

    id: str
    text: str
    json: str


@click.command()
@click.argument("tickers", nargs=-1, required=True, metavar="TICKER...")
@click.option("--when", "condition", default=DEFAULT_CONDITION, show_default=True)
@click.option("--since", default="", help="An answer's id, or a time: begin behind it.")
@click.option("--json", "as_json", is_flag=True, help="Print a line of JSON for each.")
@click.option("--webhook", "url", metavar="URL", help="Post each as signed JSON, too.")
@click.option(
    "--resume",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Keep in this file how far was told, and go on there.",
)
def watch(  # noqa: PLR0913 - one parameter an option
    tickers: tuple[str, ...],
    condition: str,
    since: str,
    url: str | None,
    resume: Path | None,
    *,
    as_json: bool,
) -> None:
    """Print each event or number of TICKERs that newly meets a condition.

    For example: orderflow watch SPY QQQ --when "iceberg ask or ofi rank >= 0.95 in 1min"
    """
    chosen = settings()
    try:
        hook = None if url is None else _webhook(url, chosen)
        watched = _prepared(chosen, tickers, condition, since, resume)
    except OrderFlowError as error:
        click.echo(f"orderflow: {error}", err=True)
        sys.exit(1)
    click.echo(f"watching {', '.join(watched.tickers)}: {watched.condition}", err=True)
    teller = _StderrTeller(Reader.from_settings(chosen))
    try:
        for found in follow(chosen, watched, teller):
            for fact in facts_of(found):
                click.echo(fact.json if as_json else fact.text)
                if hook is not None and (fault := hook.post(fact.id, fact.json.encode())):
                    click.echo(f"orderflow: webhook: {fact.id} was not taken: {fault}", err=True)
            _keep(resume, watched)
    except KeyboardInterrupt:
        _keep(resume, watched)
    finally:
        teller.close()
        if hook is not None:
            hook.close()


def _webhook(url: str, chosen: Settings) -> Webhook:
    secret = chosen.webhook_secret
    if secret is None:
        raise SettingError(
            "ORDERFLOW_WEBHOOK_SECRET is not set: a webhook's posts are signed by it"
        )
    return Webhook(url, secret.get_secret_value())


def _prepared(
    chosen: Settings, tickers: tuple[str, ...], condition: str, since: str, resume: Path | None
) -> Watch:
    reader = Reader.from_settings(chosen)
    try:
        made = prepare_watch(reader, tickers, condition, since)
    finally:
        reader.close()
    if resume is not None and not since and resume.exists():
        made.cursors |= unpack_cursors(resume.read_bytes(), made.condition, made.tickers)
    return made


def _keep(resume: Path | None, watched: Watch) -> None:
    """Write how far was told, whole or not at all."""
    if resume is None:
        return
    beside = resume.with_name(resume.name + ".new")
    beside.write_bytes(pack_cursors(watched.condition, watched.cursors))
    beside.replace(resume)


def facts_of(found: list[Matches]) -> Iterator[Fact]:
    """Yield what was found, each with its line of text and its JSON."""
    events, numbers = waited_facts(found)
    now_ms = round(clock.now_ms())
    for event in events:
        said = compact({"kind": "event"} | event.model_dump(mode="json", exclude_none=True))
        yield Fact(event.id, event_text(event, now_ms), said)
    for number in numbers:
        said = compact({"kind": "number"} | number.model_dump(mode="json", exclude_none=True))
        name = f"{number.ticker}~{number.metric}~{number.window}~{number.as_of}"
        yield Fact(name, number_text(number), said)


class _StderrTeller:
    """Say on stderr, once each, what keeps events from being found, and that it is over."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._is_told = False

    def close(self) -> None:
        """Close the connections."""
        self._reader.close()

    def trouble(self, cause: str | None) -> None:
        """Say what is new of Redis."""
        if cause is not None and not self._is_told:
            click.echo(f"orderflow: {cause}; trying again", err=True)
        elif cause is None and self._is_told:
            click.echo("orderflow: Redis answers again", err=True)
        self._is_told = cause is not None

    def ticks(self, change: TickChange) -> None:
        """Say that ticks of a ticker stopped, and why, or that they come again."""
        start = f"orderflow: {change.ticker}:"
        if change.has_stopped:
            why = self._why_silent(change.ticker)
            click.echo(f"{start} no tick for {age(change.seconds)}{why}", err=True)
        else:
            click.echo(f"{start} ticks again, after {age(change.seconds)}", err=True)

    def _why_silent(self, ticker: str) -> str:
        try:
            cause = self._reader.snapshot(ticker, _PROBED_SECONDS).cause
        except (NoAnswer, StoreUnavailable) as error:
            return f": {error}"
        return "" if cause is None else f": {cause}"
