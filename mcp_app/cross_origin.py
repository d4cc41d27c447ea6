"""Let pages of allowed origins use the server through a browser (CORS).

Runs inside `mcp_app.host_check.CheckHosts`, which refuses other origins before they get here.
"""

from typing import Any

from mcp.server.transport_security import TransportSecuritySettings

from mcp_app.host_check import origin_pattern

# What a page may read of an answer, besides its body.
_EXPOSED_HEADERS = ("Mcp-Session-Id", "Mcp-Protocol-Version", "WWW-Authenticate", "Retry-After")


def cors_options(allowed: TransportSecuritySettings) -> dict[str, Any]:
    """Return the options of Starlette's CORSMiddleware for the origins of the host check."""
    return {
        "allow_origin_regex": origin_pattern(allowed),
        "allow_methods": ("GET", "POST", "DELETE"),
        # Any: protocol 2026 has headers whose names depend on the tool (Mcp-Param-*).
        "allow_headers": ("*",),
        # A page of a public address may ask a server on this machine.
        "allow_private_network": True,
        "expose_headers": _EXPOSED_HEADERS,
    }
