"""Check bearer tokens that come from the environment or a file, with the SDK's middleware."""

import hashlib
import hmac
from collections.abc import Sequence

from mcp.server.auth.middleware.bearer_auth import BearerAuthBackend, RequireAuthMiddleware
from mcp.server.auth.provider import AccessToken, TokenVerifier
from starlette.middleware.authentication import AuthenticationMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

UNAUTHENTICATED_PATHS = frozenset(("/health",))
"""Paths served without a token; they tell no more than that the process runs."""


class StaticTokenVerifier(TokenVerifier):
    """Verify tokens by their hashes, in constant time."""

    def __init__(self, tokens: Sequence[str]) -> None:
        self._hashes = [_hash(token) for token in tokens]

    async def verify_token(self, token: str) -> AccessToken | None:
        """Return a token's client, to whom sessions are bound; None for an unknown token."""
        digest = _hash(token)
        matches = [hmac.compare_digest(digest, known) for known in self._hashes]
        if not any(matches):
            return None
        # Without the token itself, so that nothing can log it.
        return AccessToken(token="", client_id=f"token {matches.index(True)}", scopes=[])


def _hash(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()


class RequireToken:
    """Reject requests without a valid token with 401, except those of `UNAUTHENTICATED_PATHS`.

    Wraps the whole application: the SDK's own `auth=` protects /mcp only, and announces an OAuth
    server that does not exist.
    """

    def __init__(self, app: ASGIApp, tokens: Sequence[str]) -> None:
        self._app = app
        self._authenticated_app = AuthenticationMiddleware(
            RequireAuthMiddleware(app, required_scopes=[]),
            backend=BearerAuthBackend(StaticTokenVerifier(tokens)),
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or reject it."""
        is_exempt = scope["type"] == "lifespan" or scope["path"] in UNAUTHENTICATED_PATHS
        await (self._app if is_exempt else self._authenticated_app)(scope, receive, send)
