"""Tools that accept exactly their arguments and fail in one readable line."""

import types
from typing import Any

from mcp.server.mcpserver.exceptions import ToolError, UnexpectedToolError
from mcp.server.mcpserver.tools import Tool
from pydantic import ConfigDict, ValidationError
from pydantic_core import ErrorDetails

from app.answers.schema import lean_schema


class StrictTool(Tool):
    """A tool that refuses unknown arguments; the SDK drops them, so that a typo goes unseen."""

    def model_post_init(self, context: object, /) -> None:
        """Rebuild the argument model so that it forbids what it does not know."""
        super().model_post_init(context)
        arguments = self.fn_metadata.arg_model
        forbidding = {
            "model_config": ConfigDict(extra="forbid"),
            "__module__": arguments.__module__,
        }
        self.fn_metadata.arg_model = types.new_class(
            arguments.__name__, (arguments,), exec_body=lambda names: names.update(forbidding)
        )
        self.parameters = self.fn_metadata.arg_model.model_json_schema(by_alias=True)
        lean_schema(self.parameters)

    async def run(
        self,
        arguments: dict[str, Any],
        context: Any,  # noqa: ANN401 - the SDK's signature, as is the flag
        convert_result: bool = False,  # noqa: FBT001, FBT002
    ) -> Any:  # noqa: ANN401
        """Run the tool; what fails is said without the SDK's prefix and pydantic's layout."""
        try:
            return await super().run(arguments, context, convert_result)
        except UnexpectedToolError:
            raise
        except ToolError as error:
            if isinstance(error.__cause__, ValidationError):
                # Of the arguments: what else fails to validate is unexpected.
                raise ToolError(self._faults(error.__cause__)) from None
            raise ToolError(str(error.__cause__ or error)) from error.__cause__

    def _faults(self, error: ValidationError) -> str:
        known = ", ".join(self.parameters["properties"])
        faults = [
            _described(fault) for fault in error.errors(include_url=False, include_context=False)
        ]
        return f"{self.name}: {'; '.join(faults)}. Arguments: {known}"


def _described(fault: ErrorDetails) -> str:
    name = ".".join(str(part)[:40] for part in fault["loc"])
    match fault["type"]:
        case "extra_forbidden":
            return f"unknown argument {name!r}"
        case "missing":
            return f"argument {name!r} is missing"
    return f"argument {name!r}: {fault['msg']}"
