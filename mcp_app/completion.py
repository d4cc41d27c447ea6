"""Completion of tickers and histories."""

from collections.abc import Callable, Iterable

from mcp.server import MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp.types import (
    Completion,
    CompletionArgument,
    CompletionContext,
    PromptReference,
    ResourceTemplateReference,
)

from app.answers.reader import Reader
from mcp_app.deadlines import run_with_deadline

HISTORIES = ("10s", "30s", "1min", "5mins", "10 minutes", "30min", "1h")
MAX_VALUES = 100


def add_completion(server: MCPServer[Reader], active: Callable[[], list[str]]) -> None:
    """Complete what prompts and resources are asked about; `active` names the tickers."""

    @server.completion()
    async def complete(
        _ref: PromptReference | ResourceTemplateReference,
        argument: CompletionArgument,
        _context: CompletionContext | None,
    ) -> Completion:
        if argument.name == "history":
            return completed(HISTORIES, argument.value)
        if argument.name not in ("ticker", "tickers"):
            return Completion(values=[])
        try:
            names = await run_with_deadline(active)
        except ToolError:
            # Completion helps a person to type; the question itself will say what fails.
            return Completion(values=[])
        before, comma, begun = argument.value.rpartition(",")
        found = completed(sorted(names), begun.strip())
        return found.model_copy(
            update={"values": [f"{before}{comma}{name}" for name in found.values]}
        )


def completed(known: Iterable[str], begun: str) -> Completion:
    """Return the known words that begin so, whatever the case."""
    found = [word for word in known if word.casefold().startswith(begun.casefold())]
    return Completion(values=found[:MAX_VALUES], total=len(found), has_more=len(found) > MAX_VALUES)
