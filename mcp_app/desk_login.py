"""Log people in to the desk: a bearer token, typed once, for a cookie that scripts can't read."""

import hashlib
import hmac
import time
from collections.abc import Sequence
from typing import Final

from app.core import clock
from mcp_app.limits import TokenBuckets

COOKIE_SECONDS: Final = 30 * 86_400
ATTEMPTS_PER_MINUTE: Final = 10
"""Of one client."""
ALL_ATTEMPTS_PER_MINUTE: Final = 60
"""Of all clients: many addresses guess no faster."""
_PURPOSE: Final = b"orderflow desk cookie 1"
_ALL: Final = "all"


def cookie_name(host_header: str) -> str:
    """Return the name of the cookie of a desk, by the port at which a browser reaches it.

    Cookies of one host are sent to all of its ports: servers must not overwrite each other's.

    >>> cookie_name("127.0.0.1:8765"), cookie_name("desk.example"), cookie_name("[::1]")
    ('orderflow_desk_8765', 'orderflow_desk', 'orderflow_desk')
    """
    port = host_header.rpartition(":")[2]
    return f"orderflow_desk_{port}" if port.isdigit() else "orderflow_desk"


class Logins:
    """Gives and checks cookies.

    A cookie holds when it ends, and a proof of that moment by a key that is derived from the token:
    it stays valid after a restart of the server, and is worth nothing once the token has changed.
    """

    def __init__(self, tokens: Sequence[str]) -> None:
        self._tokens = [(_hash(token), _key(token)) for token in tokens]
        self._attempts = TokenBuckets(ATTEMPTS_PER_MINUTE)
        self._all_attempts = TokenBuckets(ALL_ATTEMPTS_PER_MINUTE)

    @property
    def is_needed(self) -> bool:
        """Return whether there are tokens at all."""
        return bool(self._tokens)

    def wait_seconds(self, client: str) -> float:
        """Count an attempt and return 0, or return how long the client has to wait for one."""
        now = time.monotonic()
        return self._attempts.wait_seconds(client, now) or self._all_attempts.wait_seconds(
            _ALL, now
        )

    def left_seconds(self, client: str) -> float:
        """Return how long a client has to wait for an attempt, and count none."""
        return self._attempts.left_seconds(client, time.monotonic())

    def cookie_for(self, token: str) -> str | None:
        """Return a new cookie's value for a token, None if it is not known."""
        digest = _hash(token)
        # All are compared, so that the time taken tells nothing.
        matching = [key for known, key in self._tokens if hmac.compare_digest(digest, known)]
        if not matching:
            return None
        ends_at = f"{int(clock.now_ms() / 1000) + COOKIE_SECONDS}"
        return f"{ends_at}.{_proof(matching[0], ends_at)}"

    def is_valid(self, cookie: str | None) -> bool:
        """Return whether a cookie is valid still; without tokens none is needed."""
        if not self.is_needed:
            return True
        ends_at, _, proof = (cookie or "").partition(".")
        if (
            not ends_at.isascii()
            or not ends_at.isdigit()
            or int(ends_at[:20]) < clock.now_ms() / 1000
        ):
            return False
        given = proof.encode("utf-8", "replace")
        proofs = [_proof(key, ends_at).encode() for _, key in self._tokens]
        return any(hmac.compare_digest(given, known) for known in proofs)


def _hash(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()


def _key(token: str) -> bytes:
    return hmac.digest(token.encode("utf-8", "surrogatepass"), _PURPOSE, "sha256")


def _proof(key: bytes, ends_at: str) -> str:
    return hmac.digest(key, ends_at.encode(), "sha256").hex()
