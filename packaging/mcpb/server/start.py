"""Start the server of the checkout that the bundle's settings name."""

from mcp_app.__main__ import main

main()
