"""Complete tickers and histories in the arguments of prompts and resources."""

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
    """Add completion of arguments; `active` returns the active tickers."""

    @server.completion()
    async def complete(
        _ref: PromptReference | ResourceTemplateReference,
        argument: CompletionArgument,
        _context: CompletionContext | None,
    ) -> Completion:
        if argument.name == "history":
            return complete_word(HISTORIES, argument.value)
        if argument.name not in ("ticker", "tickers"):
            return Completion(values=[])
        try:
            names = await run_with_deadline(active)
        except ToolError:
            # Completion only helps to type; the question itself will report the error.
            return Completion(values=[])
        before, comma, prefix = argument.value.rpartition(",")
        found = complete_word(sorted(names), prefix.strip(), optional="$")
        return found.model_copy(
            update={"values": [f"{before}{comma}{name}" for name in found.values]}
        )


def complete_word(words: Iterable[str], prefix: str, optional: str = "") -> Completion:
    """Return the words that begin with `prefix`, with or without the `optional` start.

    Case does not matter.
    """
    starts = (prefix.casefold(), prefix.casefold().removeprefix(optional))
    found = [word for word in words if word.casefold().startswith(starts)]
    return Completion(values=found[:MAX_VALUES], total=len(found), has_more=len(found) > MAX_VALUES)
