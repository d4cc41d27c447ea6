"""Prompts that ask for a neutral brief."""

from mcp.server import MCPServer

from app.answers.history_argument import DEFAULT_HISTORY
from app.answers.reader import Reader

_STYLE = (
    "Say first how old and how complete the data is. State facts only: what bids, asks, sizes "
    "and trades did, and how much; name what is unknown. Give no advice and no forecast."
)


def add_prompts(server: MCPServer[Reader]) -> None:
    """Add the prompts; all arguments have defaults, since a missing one would be an error."""

    @server.prompt(
        name="brief_ticker", title="Brief on a ticker", description="Facts about a ticker's flow."
    )
    def brief_ticker(ticker: str = "", history: str = DEFAULT_HISTORY) -> str:
        named = ticker or "the first ticker of list_tickers"
        return f"Call analyze_order_flow_tool for {named}, history {history}. {_STYLE}"

    @server.prompt(
        name="compare_tickers",
        title="Compare tickers",
        description="Facts about several tickers side by side.",
    )
    def compare_tickers(tickers: str = "", history: str = DEFAULT_HISTORY) -> str:
        named = tickers or "the first five tickers of list_tickers"
        return f"Call compare_order_flow for {named}, history {history}. {_STYLE}"
