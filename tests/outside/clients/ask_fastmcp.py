"""fastmcp's client calls every tool: prints what it is given, as JSON.

python ask_fastmcp.py ADDRESS CALLS
"""

import asyncio
import json
import sys

from fastmcp import Client


async def main(address: str, calls: dict[str, dict[str, object]]) -> None:
    async with Client(address) as client:
        found = {}
        for tool, arguments in calls.items():
            result = await client.call_tool(tool, arguments)
            found[tool] = {"text": result.content[0].text, "json": result.structured_content}
        wrong = await client.call_tool(
            "analyze_order_flow_tool", {"ticker": "NONE"}, raise_on_error=False
        )
        print(json.dumps({"answers": found, "wrong": wrong.content[0].text}))


asyncio.run(main(sys.argv[1], json.loads(sys.argv[2])))
