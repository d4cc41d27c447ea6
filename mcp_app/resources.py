"""Resources that clients read and subscribe to: tickers, a ticker's snapshot and patterns."""

from collections.abc import Callable

from mcp.server import MCPServer
from mcp.server.mcpserver.exceptions import ResourceError, ResourceNotFoundError, ToolError
from mcp.server.mcpserver.resources import ResourceSecurity

from app.answers.ask import ask
from app.answers.event_facts import event_facts
from app.answers.event_selection import by_rarity
from app.answers.history_argument import parse_history
from app.answers.list_tickers import list_tickers
from app.answers.reader import Reader
from app.answers.rendering import render_text
from app.answers.ticker_text import event_line, shown
from app.answers.utc_times import utc_clock
from app.core.errors import BadTicker, UnknownTicker
from mcp_app.deadlines import run_with_deadline
from mcp_app.resource_addresses import PATTERNS, SNAPSHOT, TICKERS

MAX_EVENTS = 20
MORE = (
    'analyze_order_flow_tool with history="1h", min_return_minutes=0, limit=100; '
    "earlier ones with as_of and a shorter history"
)
"""How what the resource leaves out is reached."""


def add_resources(server: MCPServer[Reader], reader: Reader) -> None:
    """Add the resources; a ticker is percent-encoded in its URI."""
    # A ticker may contain "/": it has its own check and is never used as a path.
    security = ResourceSecurity(exempt_params={"ticker"})

    @server.resource(
        TICKERS, name="tickers", title="Active tickers", description="Active tickers, one a line."
    )
    async def tickers() -> str:
        return await _read(lambda: render_text(list_tickers(reader)))

    @server.resource(
        SNAPSHOT,
        name="snapshot",
        title="A ticker's last five minutes",
        description="The order flow of a ticker over its last five minutes.",
        security=security,
    )
    async def snapshot(ticker: str) -> str:
        return await _read(lambda: ask(reader, ticker).reply.text)

    @server.resource(
        PATTERNS,
        name="patterns",
        title="A ticker's pattern events",
        description="Pattern events of a ticker's last hour, rarest first.",
        security=security,
    )
    async def patterns(ticker: str) -> str:
        return await _read(lambda: _patterns(reader, ticker))


async def _read(question: Callable[[], str]) -> str:
    try:
        return await run_with_deadline(question)
    except ToolError as error:
        if isinstance(error.__cause__, (BadTicker, UnknownTicker)):
            raise ResourceNotFoundError(str(error)) from error
        raise ResourceError(str(error)) from error


def _patterns(reader: Reader, ticker: str) -> str:
    snapshot = reader.snapshot(ticker, parse_history("1h"))
    events = by_rarity(snapshot.events or (), snapshot.bounds.end_ms)
    as_of = snapshot.as_of_ms
    age = "" if as_of is None else f", as of {utc_clock(as_of)} UTC"
    count = shown(min(MAX_EVENTS, len(events)), max(0, len(events) - MAX_EVENTS))
    lines = [f"{snapshot.ticker}: events of the last hour: {count}{age}, rarest first"]
    lines += [f"note: {snapshot.cause}"] if snapshot.cause else []
    now = round(snapshot.now_ms)
    lines += [f"- {event_line(event_facts(event), now)}" for event in events[:MAX_EVENTS]]
    if len(events) > MAX_EVENTS:
        lines.append(f"more: {MORE}")
    return "\n".join(lines)
