"""The tools that agents call; all of them only read."""

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, NamedTuple

from mcp.server.mcpserver.tools import Tool
from mcp.types import CallToolResult, ToolAnnotations
from pydantic import Field

from app.answers.answer_model import Answer
from app.answers.ask import AS_FITS, Detail, ask
from app.answers.chart import ChartFacts, chart
from app.answers.compare import Comparison, compare
from app.answers.event_selection import MIN_RETURN_MINUTES
from app.answers.explain import Explanation, explain
from app.answers.history_argument import DEFAULT_HISTORY
from app.answers.list_tickers import DEFAULT_ROWS, Listing, list_tickers
from app.answers.scan import ANY, RAREST, Scan, scan
from app.answers.series import DEFAULT_FIELDS, Series, series
from mcp_app.deadlines import ToolContext, answer, answer_rendered, answer_with_picture
from mcp_app.page import PAGE_URI, order_flow_page
from mcp_app.strict_tools import StrictTool

Ticker = Annotated[str, Field(description="e.g. SPY")]
History = Annotated[str, Field(description="10 s to 1 h: 30s, 5mins, 1h; kept: to 1d")]


async def analyze_order_flow_tool(  # noqa: PLR0913, PLR0917 - the contract's arguments
    context: ToolContext,
    ticker: Ticker,
    history: History = DEFAULT_HISTORY,
    include_patterns: bool = True,  # noqa: FBT001, FBT002
    detail: Detail = "full",
    as_of: Annotated[str, Field(description="earlier: 10 min ago, 09:45 ET, ISO 8601, epoch")] = "",
    min_return_minutes: Annotated[
        float, Field(description="count events that come more often")
    ] = MIN_RETURN_MINUTES,
    limit: Annotated[int, Field(description="events, levels a side; 0: what fits")] = AS_FITS,
) -> Annotated[CallToolResult, Answer]:
    """Tell what a ticker's order flow was over the last `history`."""
    return await answer_rendered(
        context,
        functools.partial(
            ask,
            ticker=ticker,
            history=history,
            include_patterns=include_patterns,
            detail=detail,
            as_of=as_of,
            min_return_minutes=min_return_minutes,
            limit=limit,
        ),
    )


async def list_tickers_tool(
    context: ToolContext, limit: int = DEFAULT_ROWS
) -> Annotated[CallToolResult, Listing]:
    """List the active tickers."""
    return await answer(context, functools.partial(list_tickers, limit=limit))


async def scan_order_flow(  # noqa: PLR0913, PLR0917 - the tool's arguments
    context: ToolContext,
    pattern: Annotated[str, Field(description="e.g. iceberg, sweep")] = ANY,
    side: Annotated[str, Field(description="bid, ask, up, down, both, any")] = ANY,
    min_strength: Annotated[float, Field(description="0..1")] = 0,
    limit: int = 10,
    tickers: Annotated[list[str], Field(description="empty: all")] = [],  # noqa: B006
    sort: Annotated[str, Field(description="rarest, strongest, newest")] = RAREST,
    min_return_minutes: float = MIN_RETURN_MINUTES,
    day: Annotated[str, Field(description="kept: yesterday, 2026-11-24")] = "",
) -> Annotated[CallToolResult, Scan]:
    """Find pattern events of now in all tickers, or in some."""
    return await answer(
        context,
        functools.partial(
            scan,
            pattern=pattern,
            side=side,
            min_strength=min_strength,
            limit=limit,
            tickers=tickers,
            sort=sort,
            min_return_minutes=min_return_minutes,
            day=day,
        ),
    )


async def compare_order_flow(
    context: ToolContext,
    tickers: Annotated[list[str], Field(description="up to 10")],
    history: History = DEFAULT_HISTORY,
    sessions: Annotated[int, Field(description="earlier kept ones, same time: to 5")] = 0,
) -> Annotated[CallToolResult, Comparison]:
    """Compare tickers."""
    return await answer(
        context,
        functools.partial(compare, tickers=tickers, history=history, sessions=sessions),
    )


async def explain_pattern(
    context: ToolContext,
    id: Annotated[str, Field(description="e.g. SPY~k3f9x2ab")],  # noqa: A002
) -> Annotated[CallToolResult, Explanation]:
    """Explain one event."""
    return await answer(context, functools.partial(explain, event_id=id))


async def order_flow_series(  # noqa: PLR0913, PLR0917 - the tool's arguments
    context: ToolContext,
    ticker: Ticker,
    fields: Annotated[list[str], Field(description="mid or metrics")] = [*DEFAULT_FIELDS],  # noqa: B006
    history: History = DEFAULT_HISTORY,
    points: Annotated[int, Field(description="2 to 60")] = 12,
    as_of: str = "",
) -> Annotated[CallToolResult, Series]:
    """Measure change over time."""
    return await answer(
        context,
        functools.partial(
            series, ticker=ticker, fields=fields, history=history, points=points, as_of=as_of
        ),
    )


async def order_flow_chart(
    context: ToolContext, ticker: Ticker, history: History = DEFAULT_HISTORY
) -> Annotated[CallToolResult, ChartFacts]:
    """Draw a ticker's history."""
    return await answer_with_picture(
        context, functools.partial(chart, ticker=ticker, history=history)
    )


class ToolSpec(NamedTuple):
    """A tool's name, title and description as clients see them."""

    fn: Callable[..., Any]
    name: str
    title: str
    description: str
    meta: Mapping[str, Any] | None = None


TOOL_SPECS: Sequence[ToolSpec] = (
    ToolSpec(
        analyze_order_flow_tool,
        "analyze_order_flow_tool",
        "Order flow of a ticker",
        "Facts about a ticker's order flow over the last `history`: best bid and ask, spread, "
        "sizes, flow imbalance, trades, behaviors, pattern events, price levels, data age. "
        "bid/ask of an event is the resting side.",
    ),
    ToolSpec(
        list_tickers_tool,
        "list_tickers",
        "Active tickers",
        "Active tickers with quote age and rate, evidence class and open patterns.",
    ),
    ToolSpec(
        scan_order_flow,
        "scan_order_flow",
        "Pattern events now",
        "Pattern events open or new now, rarest first; frequent ones are counted.",
    ),
    ToolSpec(
        compare_order_flow,
        "compare_order_flow",
        "Tickers side by side",
        "Key measures of several tickers over the same history, a row each.",
    ),
    ToolSpec(
        explain_pattern,
        "explain_pattern",
        "Evidence of an event",
        "The whole evidence of one pattern event, and quotes and trades around it, summarised.",
    ),
    ToolSpec(
        order_flow_series,
        "order_flow_series",
        "Measures over time",
        "Columns of measures over equal steps of a history, oldest first.",
    ),
    ToolSpec(
        order_flow_chart,
        "order_flow_chart",
        "Chart of a ticker",
        "A picture of mid, spread, sizes, flow, levels and events.",
        {"ui": {"resourceUri": PAGE_URI}},
    ),
    ToolSpec(
        order_flow_page,
        "order_flow_page",
        "Data of the live page",
        "What the live page draws.",
        {"ui": {"visibility": ["app"]}},
    ),
)


def tools() -> list[Tool]:
    """Return the tools."""
    return [make_tool(spec) for spec in TOOL_SPECS]


def make_tool(spec: ToolSpec) -> Tool:
    """Return a tool that only reads."""
    return StrictTool.from_function(
        spec.fn,
        name=spec.name,
        title=spec.title,
        description=spec.description,
        meta=None if spec.meta is None else dict(spec.meta),
        annotations=ToolAnnotations(
            title=spec.title,
            read_only_hint=True,
            destructive_hint=False,
            idempotent_hint=True,
            open_world_hint=False,
        ),
    )
