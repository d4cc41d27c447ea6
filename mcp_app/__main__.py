"""`python -m mcp_app`: the server on stdio, or over HTTP with --http."""

from mcp_app.command import main

__all__ = ["main"]

if __name__ == "__main__":
    main()
