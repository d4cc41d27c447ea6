"""The live page of a ticker inside a chat (MCP Apps), and the tool that returns its data."""

from importlib.resources import files
from typing import Annotated

from mcp.server.apps import Apps
from mcp.types import CallToolResult

from app.answers.history_argument import DEFAULT_HISTORY, parse_history
from app.answers.reader import Reader
from app.answers.rendering import SentReply
from app.answers.series import DEFAULT_FIELDS, Series, series
from app.answers.ticker_answer import open_patterns
from mcp_app.deadlines import ToolContext, reader_of, run_with_deadline, tool_result

PAGE_URI = "ui://orderflow/live.html"
POINTS = 60


class PageData(Series):
    """What the page draws."""

    open_patterns: list[str] = []


async def order_flow_page(
    context: ToolContext, ticker: str, history: str = DEFAULT_HISTORY
) -> Annotated[CallToolResult, PageData]:
    """Return what the page draws; asked each second or two, so that it is not kept."""
    reader = reader_of(context)
    return tool_result(await run_with_deadline(lambda: _page_data(reader, ticker, history)))


def _page_data(reader: Reader, ticker: str, history: str) -> SentReply:
    drawn = series(reader, ticker, DEFAULT_FIELDS, history, POINTS)
    snapshot = reader.snapshot(drawn.ticker, parse_history(history))
    data = PageData(**drawn.model_dump(), open_patterns=open_patterns(snapshot.events or ()))
    return SentReply(data.as_text(), data.as_json())


def page_extension() -> Apps:
    """Return the extension that serves the page."""
    extension = Apps()
    page = files("mcp_app").joinpath("live.html").read_text(encoding="utf-8")
    extension.add_html_resource(
        PAGE_URI, page, name="live", title="Order flow live", description="A ticker, drawn live."
    )
    return extension
