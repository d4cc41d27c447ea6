"""The OpenAI Agents SDK lists every tool with a strict schema and calls it; prints JSON.

python ask_openai_agents.py ADDRESS CALLS
"""

import asyncio
import json
import sys

from agents.mcp import MCPServerStreamableHttp, MCPUtil


async def main(address: str, calls: dict[str, dict[str, object]]) -> None:
    where = {"url": address}
    async with MCPServerStreamableHttp(params=where, use_structured_content=True) as server:
        listed = {tool.name: tool for tool in await server.list_tools()}
        found = {}
        for name, arguments in calls.items():
            strict = MCPUtil.to_function_tool(listed[name], server, convert_schemas_to_strict=True)
            assert strict.strict_json_schema, name
            result = await server.call_tool(name, arguments)
            found[name] = {"text": result.content[0].text, "json": result.structured_content}
        wrong = await server.call_tool("analyze_order_flow_tool", {"ticker": "NONE"})
        print(json.dumps({"answers": found, "wrong": wrong.content[0].text}))


asyncio.run(main(sys.argv[1], json.loads(sys.argv[2])))
