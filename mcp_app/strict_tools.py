"""Tools that take arguments as models send them, and report errors in one readable line."""

import types
from collections.abc import Mapping
from typing import Any

from mcp.server.mcpserver.exceptions import ToolError, UnexpectedToolError
from mcp.server.mcpserver.tools import Tool
from pydantic import BaseModel, ConfigDict, ValidationError, model_validator
from pydantic_core import ErrorDetails

from app.answers.schema import lean_schema
from mcp_app.argument_bounds import argument_faults, list_faults
from mcp_app.given_arguments import read_arguments


class _SentArguments(BaseModel):
    """A base of argument models that takes the forms in which models send arguments."""

    model_config = ConfigDict(coerce_numbers_to_str=True)

    @model_validator(mode="before")
    @classmethod
    def _read(cls, given: object) -> object:
        return read_arguments(given, cls.model_fields) if isinstance(given, Mapping) else given


class StrictTool(Tool):
    """A tool that rejects unknown arguments; the SDK ignores them, which hides typos.

    A tool without arguments ignores them too: some clients can't send none.
    """

    def model_post_init(self, context: object, /) -> None:
        """Rebuild the argument model so that it forbids unknown arguments."""
        super().model_post_init(context)
        arguments = self.fn_metadata.arg_model
        config = ConfigDict(extra="forbid" if arguments.model_fields else "ignore")
        changed = {"model_config": config, "__module__": arguments.__module__}
        self.fn_metadata.arg_model = types.new_class(
            arguments.__name__,
            (_SentArguments, arguments),
            exec_body=lambda names: names.update(changed),
        )
        self.parameters = self.fn_metadata.arg_model.model_json_schema(by_alias=True)
        # Also where unknown ones are ignored, so that no model is tempted to send any.
        self.parameters["additionalProperties"] = False
        lean_schema(self.parameters)

    async def run(
        self,
        arguments: dict[str, Any],
        context: Any,  # noqa: ANN401 - the SDK's signature, as is the flag
        convert_result: bool = False,  # noqa: FBT001, FBT002
    ) -> Any:  # noqa: ANN401
        """Run the tool; raise errors without the SDK's prefix and pydantic's layout."""
        # Before validation, which takes seconds for a list of 100,000 faults.
        too_large = argument_faults(arguments)
        if too_large:
            raise ToolError(f"{self.name}: {list_faults(too_large)}")
        try:
            return await super().run(arguments, context, convert_result)
        except UnexpectedToolError:
            raise
        except ToolError as error:
            if isinstance(error.__cause__, ValidationError):
                # An invalid argument; other validation errors are unexpected ones.
                raise ToolError(self._describe_faults(error.__cause__)) from None
            raise ToolError(str(error.__cause__ or error)) from error.__cause__

    def _describe_faults(self, error: ValidationError) -> str:
        known = ", ".join(self.parameters["properties"])
        faults = [
            _describe_fault(fault)
            for fault in error.errors(include_url=False, include_context=False)
        ]
        return f"{self.name}: {list_faults(faults)}. Arguments: {known}"


def _describe_fault(fault: ErrorDetails) -> str:
    name = ".".join(str(part)[:40] for part in fault["loc"])
    match fault["type"]:
        case "extra_forbidden":
            return f"unknown argument {name!r}"
        case "missing":
            return f"argument {name!r} is missing"
    return f"argument {name!r}: {fault['msg']}"
