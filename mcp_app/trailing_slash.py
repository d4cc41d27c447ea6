"""Serve `/mcp/` as `/mcp`: a redirect would lead out of a TLS proxy, to http."""

from starlette.types import ASGIApp, Receive, Scope, Send


class IgnoreTrailingSlash:
    """Hand on each request under its path without slashes at the end."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on."""
        if scope["type"] == "http" and scope["path"].endswith("/"):
            path = scope["path"].rstrip("/") or "/"
            scope = {**scope, "path": path, "raw_path": path.encode()}
        await self._app(scope, receive, send)
