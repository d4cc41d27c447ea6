"""How an agent asks: the tools, over stdio and HTTP."""
