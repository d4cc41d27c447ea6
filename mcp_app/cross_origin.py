"""Let pages of allowed origins use the server through a browser (CORS).

Runs inside `mcp_app.host_check.CheckHosts`, which refuses other origins before they get here.
"""

from typing import Any

# What a page may read of an answer, besides its body.
_EXPOSED_HEADERS = ("Mcp-Session-Id", "Mcp-Protocol-Version", "WWW-Authenticate", "Retry-After")


CORS_OPTIONS: dict[str, Any] = {
    # Which origins are allowed is checked in one place, before.
    "allow_origin_regex": ".*",
    "allow_methods": ("GET", "POST", "DELETE"),
    # Any: protocol 2026 has headers whose names depend on the tool (Mcp-Param-*).
    "allow_headers": ("*",),
    # A page of a public address may ask a server on this machine.
    "allow_private_network": True,
    "expose_headers": _EXPOSED_HEADERS,
}
"""Options of Starlette's CORSMiddleware."""
