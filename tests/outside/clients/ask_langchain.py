"""LangChain's adapters call every tool: prints what it is given, as JSON.

python ask_langchain.py ADDRESS CALLS
"""

import asyncio
import json
import sys

from langchain_mcp_adapters.client import MultiServerMCPClient


async def main(address: str, calls: dict[str, dict[str, object]]) -> None:
    client = MultiServerMCPClient({"orderflow": {"transport": "streamable_http", "url": address}})
    tools = {tool.name: tool for tool in await client.get_tools()}
    found = {}
    for name, arguments in calls.items():
        call = {"name": name, "args": arguments, "id": "1", "type": "tool_call"}
        message = await tools[name].ainvoke(call)
        found[name] = {"text": text_of(message), "json": message.artifact["structured_content"]}
    call = {"name": "analyze_order_flow_tool", "args": {"ticker": "NONE"}, "id": "1"}
    try:
        tool = tools["analyze_order_flow_tool"]
        wrong = text_of(await tool.ainvoke(call | {"type": "tool_call"}))
    except Exception as error:  # noqa: BLE001 - whatever it makes of an error
        wrong = str(error)
    print(json.dumps({"answers": found, "wrong": wrong}))


def text_of(message: object) -> str:
    content = message.content
    return content if isinstance(content, str) else content[0]["text"]


asyncio.run(main(sys.argv[1], json.loads(sys.argv[2])))
