"""The MCP server that agents ask: tools, resources and prompts, over stdio and HTTP."""
