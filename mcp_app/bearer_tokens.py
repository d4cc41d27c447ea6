"""Bearer tokens: fixed ones, from the environment or a file, by the SDK's own hooks."""

import hashlib
import hmac
from collections.abc import Sequence

from mcp.server.auth.middleware.bearer_auth import BearerAuthBackend, RequireAuthMiddleware
from mcp.server.auth.provider import AccessToken, TokenVerifier
from starlette.middleware.authentication import AuthenticationMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

OPEN_PATHS = frozenset(("/health",))
"""What is answered without a token: only that the process serves."""


class FixedTokens(TokenVerifier):
    """Knows a token by its hash, and takes as long for a near one as for a far one."""

    def __init__(self, tokens: Sequence[str]) -> None:
        self._known = [_hashed(token) for token in tokens]

    async def verify_token(self, token: str) -> AccessToken | None:
        """Return whom a token stands for: a session belongs to the token that began it."""
        given = _hashed(token)
        found = [hmac.compare_digest(given, known) for known in self._known]
        if not any(found):
            return None
        # The token itself goes no further.
        return AccessToken(token="", client_id=f"token {found.index(True)}", scopes=[])


def _hashed(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()


class RequireToken:
    """Answers 401 to who brings no token that is known, whatever is asked but the open paths.

    Around the whole application: the SDK's own `auth=` leaves other routes than /mcp open, and
    names an OAuth server that there is none of.
    """

    def __init__(self, app: ASGIApp, tokens: Sequence[str]) -> None:
        self._open = app
        self._guarded = AuthenticationMiddleware(
            RequireAuthMiddleware(app, required_scopes=[]),
            backend=BearerAuthBackend(FixedTokens(tokens)),
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer for the application, or refuse."""
        is_open = scope["type"] == "lifespan" or scope["path"] in OPEN_PATHS
        await (self._open if is_open else self._guarded)(scope, receive, send)
