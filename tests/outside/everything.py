"""The shipped server with the conformance suite's fixtures added; for tests only.

python -m tests.outside.everything PORT
"""

import asyncio
import base64
import contextlib
import json
import sys
import warnings
from collections.abc import Callable
from typing import Annotated, Any

import uvicorn
from mcp.server import MCPServer
from mcp.server.mcpserver import Context
from mcp.server.mcpserver.exceptions import ToolError
from mcp.server.mcpserver.prompts.base import UserMessage
from mcp.server.mcpserver.tools import Tool
from mcp.server.streamable_http import EventCallback, EventMessage, EventStore
from mcp.shared.exceptions import MCPError
from mcp.types import (
    MISSING_REQUIRED_CLIENT_CAPABILITY,
    AudioContent,
    ClientCapabilities,
    CreateMessageRequest,
    CreateMessageRequestParams,
    ElicitRequest,
    ElicitRequestFormParams,
    EmbeddedResource,
    EmptyResult,
    ImageContent,
    InputRequiredResult,
    JSONRPCMessage,
    ListRootsRequest,
    MissingRequiredClientCapabilityErrorData,
    SamplingCapability,
    SamplingMessage,
    SetLevelRequestParams,
    TextContent,
    TextResourceContents,
)
from pydantic import Field
from starlette.applications import Starlette
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.core.settings import Settings
from mcp_app.http import Resumable, http_app
from mcp_app.server import make_server

HOST = "127.0.0.1"
PNG = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk"
    "+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
WAV = "UklGRiQAAABXQVZFZm10IBAAAAABAAEAQB8AAIA+AAACABAAZGF0YQAAAAA="
PAUSE_SECONDS = 0.05
NAME = {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}

SCHEMA = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "$defs": {
        "address": {
            "$anchor": "addressDef",
            "type": "object",
            "properties": {"street": {"type": "string"}, "city": {"type": "string"}},
        }
    },
    "properties": {
        "name": {"type": "string"},
        "address": {"$ref": "#/$defs/address"},
        "contactMethod": {"type": "string", "enum": ["phone", "email"]},
        "phone": {"type": "string"},
        "email": {"type": "string"},
    },
    "allOf": [{"anyOf": [{"required": ["phone"]}, {"required": ["email"]}]}],
    "if": {"properties": {"contactMethod": {"const": "phone"}}, "required": ["contactMethod"]},
    "then": {"required": ["phone"]},
    "else": {"required": ["email"]},
    "additionalProperties": False,
}
RETRY_MS = 200
BEGUN = "orderflow.begun"

image = ImageContent(type="image", data=PNG, mime_type="image/png")


def said(text: str) -> TextContent:
    return TextContent(type="text", text=text)


def embedded(uri: str, text: str, mime_type: str = "text/plain") -> EmbeddedResource:
    resource = TextResourceContents(uri=uri, mime_type=mime_type, text=text)
    return EmbeddedResource(type="resource", resource=resource)


def test_simple_text() -> list[TextContent]:
    return [said("This is a simple text response for testing.")]


def test_image_content() -> list[ImageContent]:
    return [image]


def test_audio_content() -> list[AudioContent]:
    return [AudioContent(type="audio", data=WAV, mime_type="audio/wav")]


def test_embedded_resource() -> list[EmbeddedResource]:
    return [embedded("test://embedded-resource", "This is an embedded resource content.")]


def test_multiple_content_types() -> list[TextContent | ImageContent | EmbeddedResource]:
    data = embedded(
        "test://mixed-content-resource", '{"test":"data","value":123}', "application/json"
    )
    return [said("Multiple content types test:"), image, data]


async def test_tool_with_logging(ctx: Context) -> str:
    for step in ("Tool execution started", "Tool processing data", "Tool execution completed"):
        await ctx.info(step)
        await asyncio.sleep(PAUSE_SECONDS)
    return "three lines logged"


def test_error_handling() -> str:
    raise ToolError("This tool intentionally returns an error for testing")


async def test_tool_with_progress(ctx: Context) -> str:
    for done in (0, 50, 100):
        await ctx.report_progress(done, 100)
        await asyncio.sleep(PAUSE_SECONDS)
    return "all steps done"


async def test_sampling(prompt: str, ctx: Context) -> str:
    message = SamplingMessage(role="user", content=said(prompt))
    result = await ctx.session.create_message(
        messages=[message], max_tokens=100, related_request_id=ctx.request_id
    )
    return f"LLM response: {getattr(result.content, 'text', '')}"


async def asked(ctx: Context, message: str, schema: dict[str, Any]) -> str:
    # In the stream of the call itself: without the id the question goes into the client's GET
    # stream, and is lost where that one is opened after the call, as the suite's may be.
    result = await ctx.session.elicit_form(message, schema, related_request_id=ctx.request_id)
    return f"action={result.action}, content={json.dumps(result.content)}"


async def test_elicitation(message: str, ctx: Context) -> str:
    text = {"type": "string", "description": "User's response"}
    email = {"type": "string", "description": "User's email address"}
    fields = {"username": text, "email": email}
    schema = {"type": "object", "properties": fields, "required": ["username", "email"]}
    return f"User response: {await asked(ctx, message, schema)}"


async def test_elicitation_sep1034_defaults(ctx: Context) -> str:
    fields = {
        "name": {"type": "string", "default": "John Doe"},
        "age": {"type": "integer", "default": 30},
        "score": {"type": "number", "default": 95.5},
        "status": {
            "type": "string",
            "enum": ["active", "inactive", "pending"],
            "default": "active",
        },
        "verified": {"type": "boolean", "default": True},
    }
    answer = await asked(ctx, "Please fill in", {"type": "object", "properties": fields})
    return f"Elicitation completed: {answer}"


async def test_elicitation_sep1330_enums(ctx: Context) -> str:
    plain = ["option1", "option2", "option3"]
    titled = [{"const": f"value{i}", "title": f"Choice {i}"} for i in (1, 2, 3)]
    fields = {
        "untitledSingle": {"type": "string", "enum": plain},
        "titledSingle": {"type": "string", "oneOf": titled},
        "legacyEnum": {
            "type": "string",
            "enum": ["opt1", "opt2", "opt3"],
            "enumNames": ["Option One", "Option Two", "Option Three"],
        },
        "untitledMulti": {"type": "array", "items": {"type": "string", "enum": plain}},
        "titledMulti": {"type": "array", "items": {"anyOf": titled}},
    }
    answer = await asked(ctx, "Please choose", {"type": "object", "properties": fields})
    return f"Elicitation completed: {answer}"


def form(message: str, schema: dict[str, Any] = NAME) -> ElicitRequest:
    return ElicitRequest(params=ElicitRequestFormParams(message=message, requested_schema=schema))


def sample(question: str, max_tokens: int = 100) -> CreateMessageRequest:
    message = SamplingMessage(role="user", content=said(question))
    return CreateMessageRequest(
        params=CreateMessageRequestParams(messages=[message], max_tokens=max_tokens)
    )


def needed(state: str | None = None, **requests: Any) -> InputRequiredResult:
    return InputRequiredResult(input_requests=requests, request_state=state)


def given(ctx: Context, name: str) -> Any:
    return (ctx.input_responses or {}).get(name)


async def test_input_required_result_elicitation(ctx: Context) -> str | InputRequiredResult:
    answer = given(ctx, "user_name")
    if answer is None or not answer.content:
        return needed(user_name=form("What is your name?"))
    return f"Hello, {answer.content['name']}!"


async def test_input_required_result_sampling(ctx: Context) -> str | InputRequiredResult:
    answer = given(ctx, "capital_question")
    if answer is None:
        return needed(capital_question=sample("What is the capital of France?"))
    return str(getattr(answer.content, "text", ""))


async def test_input_required_result_list_roots(ctx: Context) -> str | InputRequiredResult:
    answer = given(ctx, "client_roots")
    if answer is None:
        return needed(client_roots=ListRootsRequest())
    return ", ".join(str(root.uri) for root in answer.roots)


async def test_input_required_result_request_state(ctx: Context) -> str | InputRequiredResult:
    if given(ctx, "confirm") is None or ctx.request_state != "asked":
        ok = {"type": "object", "properties": {"ok": {"type": "boolean"}}, "required": ["ok"]}
        return needed("asked", confirm=form("Please confirm", ok))
    return "state-ok"


async def test_input_required_result_multiple_inputs(ctx: Context) -> str | InputRequiredResult:
    names = ("user_name", "greeting", "client_roots")
    if any(given(ctx, name) is None for name in names):
        return needed(
            "asked",
            user_name=form("What is your name?"),
            greeting=sample("Generate a greeting", 50),
            client_roots=ListRootsRequest(),
        )
    return "all three given"


async def test_input_required_result_multi_round(ctx: Context) -> str | InputRequiredResult:
    if ctx.request_state is None:
        return needed("round 1", step1=form("Step 1: What is your name?"))
    if ctx.request_state == "round 1":
        color = {
            "type": "object",
            "properties": {"color": {"type": "string"}},
            "required": ["color"],
        }
        return needed("round 2", step2=form("Step 2: What is your favorite color?", color))
    return "both steps given"


async def test_input_required_result_tampered_state(ctx: Context) -> str | InputRequiredResult:
    if ctx.request_state is None:
        return needed("sealed", confirm=form("Please confirm"))
    return "state unchanged"


async def test_input_required_result_capabilities(ctx: Context) -> str | InputRequiredResult:
    can = ctx.client_capabilities
    requests: dict[str, Any] = {}
    if can is not None and can.elicitation is not None:
        requests["name"] = form("What is your name?")
    if can is not None and can.sampling is not None:
        requests["question"] = sample("What is the capital of France?")
    if not requests or ctx.input_responses:
        return "nothing to ask"
    return needed(**requests)


async def test_missing_capability(ctx: Context) -> str:
    can = ctx.client_capabilities
    if can is None or can.sampling is None:
        missing = ClientCapabilities(sampling=SamplingCapability())
        data = MissingRequiredClientCapabilityErrorData(required_capabilities=missing)
        raise MCPError(
            MISSING_REQUIRED_CLIENT_CAPABILITY,
            "sampling is needed",
            data.model_dump(by_alias=True, mode="json", exclude_none=True),
        )
    return "sampling is there"


async def test_streaming_elicitation(ctx: Context) -> str | InputRequiredResult:
    return await test_input_required_result_elicitation(ctx)


async def test_logging_tool(ctx: Context) -> str:
    await ctx.info("a line")
    return "a line logged, where asked for"


async def test_reconnection(ctx: Context) -> str:
    # A stream that is closed before its first event leaves the client without an id to come back
    # by; the SDK sends that event beside the call, sooner or later:
    # https://github.com/modelcontextprotocol/python-sdk/pull/2934
    await ctx.request_context.request.scope[BEGUN].wait()
    await ctx.close_sse_stream()
    # At once, so that the client, coming back, finds it kept: what is said while a stream is being
    # taken up again is neither replayed nor sent.
    return "said after the stream was closed"


def test_x_mcp_header(
    region: Annotated[str, Field(json_schema_extra={"x-mcp-header": "Region"})],
) -> str:
    return f"region {region}"


def json_schema_2020_12_tool() -> str:
    return "checked by its schema"


TOOLS: tuple[Callable[..., Any], ...] = tuple(
    value for name, value in list(globals().items()) if name.startswith("test_")
)


def make_everything(settings: Settings) -> MCPServer[Any]:
    """Make the shipped server with the suite's fixtures beside its own tools."""
    more = [Tool.from_function(fn, description="A fixture of the suite.") for fn in TOOLS]
    server = make_server(settings, [*more, schema_tool()])
    add_resources(server)
    add_prompts(server)
    low = server._lowlevel_server
    low.add_request_handler("logging/setLevel", SetLevelRequestParams, level_set)
    return server


def schema_tool() -> Tool:
    """Return the tool whose input schema has all that the suite wants to see again."""
    tool = Tool.from_function(json_schema_2020_12_tool, description="A fixture of the suite.")
    return tool.model_copy(update={"parameters": SCHEMA})


async def level_set(_ctx: Any, _params: SetLevelRequestParams) -> EmptyResult:
    return EmptyResult()


def add_resources(server: MCPServer[Any]) -> None:
    """Add what the suite reads."""

    @server.resource("test://static-text", mime_type="text/plain")
    def static_text() -> str:
        return "This is the content of the static text resource."

    @server.resource("test://static-binary", mime_type="image/png")
    def static_binary() -> bytes:
        return base64.b64decode(PNG)

    @server.resource("test://watched-resource", mime_type="text/plain")
    def watched() -> str:
        return "watched"

    @server.resource("test://template/{id}/data", mime_type="application/json")
    def template(id: str) -> str:  # noqa: A002
        return json.dumps({"id": id, "templateTest": True, "data": f"Data for ID: {id}"})


def add_prompts(server: MCPServer[Any]) -> None:
    """Add what the suite asks for."""

    @server.prompt(description="A fixture of the suite.")
    def test_simple_prompt() -> str:
        return "This is a simple prompt for testing."

    @server.prompt(description="A fixture of the suite.")
    def test_prompt_with_arguments(arg1: str, arg2: str) -> str:
        return f"Prompt with arguments: arg1='{arg1}', arg2='{arg2}'"

    @server.prompt(description="A fixture of the suite.")
    def test_prompt_with_embedded_resource(resourceUri: str) -> list[UserMessage]:  # noqa: N803
        resource = embedded(resourceUri, "Embedded resource content for testing.")
        text = said("Please process the embedded resource above.")
        return [UserMessage(content=resource), UserMessage(content=text)]

    @server.prompt(description="A fixture of the suite.")
    def test_prompt_with_image() -> list[UserMessage]:
        text = said("Please analyze the image above.")
        return [UserMessage(content=image), UserMessage(content=text)]

    @server.prompt(description="A fixture of the suite.")
    async def test_input_required_result_prompt(ctx: Context) -> Any:
        if given(ctx, "user_context") is None:
            context = {"type": "object", "properties": {"context": {"type": "string"}}}
            asks = form("What context should the prompt use?", context | {"required": ["context"]})
            return needed(user_context=asks)
        return "with that context"


class Sent(EventStore):
    """What was sent in streams, for clients that come back to them."""

    def __init__(self) -> None:
        self._events: list[tuple[str, JSONRPCMessage | None]] = []

    async def store_event(self, stream_id: str, message: JSONRPCMessage | None) -> str:
        """Keep an event; its number is its id."""
        self._events.append((stream_id, message))
        return str(len(self._events))

    async def replay_events_after(self, last_event_id: str, send: EventCallback) -> str | None:
        """Send again what the stream of an event carried after it."""
        last = int(last_event_id)
        stream_id, _ = self._events[last - 1]
        for number, (stream, message) in enumerate(self._events[last:], last + 1):
            if stream == stream_id and message is not None:
                await send(EventMessage(message, str(number)))
        return stream_id


def telling_when_begun(application: ASGIApp) -> ASGIApp:
    """Let an application know, by an event in the scope, that the first part of a body is sent."""

    async def told(scope: Scope, receive: Receive, send: Send) -> None:
        scope[BEGUN] = begun = asyncio.Event()

        async def sent(message: Message) -> None:
            await send(message)
            if message["type"] == "http.response.body":
                begun.set()

        await application(scope, receive, sent)

    return told


def app(settings: Settings) -> Starlette:
    """Return the ASGI application that the suite talks to."""
    resumable = Resumable(Sent(), RETRY_MS)
    return http_app(make_everything(settings), HOST, resumable)


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt), warnings.catch_warnings():
        # The suite asks for what 2026 deprecated.
        warnings.simplefilter("ignore")
        served = telling_when_begun(app(Settings()))
        uvicorn.run(served, host=HOST, port=int(sys.argv[1]), log_level="warning")
