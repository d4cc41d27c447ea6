"""Post facts as signed JSON, again and again for a while where that fails.

The receiver checks `X-Orderflow-Signature`, an HMAC-SHA256 by the shared secret over the text of
`X-Orderflow-Timestamp`, a full stop and the body. `X-Orderflow-Id` is the same in each attempt,
and after a restart: what came before can be told by it.
"""

import hashlib
import hmac
import time
from collections.abc import Callable

import httpx2

from app.core import clock
from app.core.errors import BadQuestion

ATTEMPTS = 6
FIRST_PAUSE_SECONDS = 1.0
TIMEOUT_SECONDS = 10.0
_WORTH_ANOTHER = frozenset((408, 425, 429))
_SERVER_ERRORS = 500


def signature(secret: str, timestamp: str, body: bytes) -> str:
    """Return the signature of a body that is posted at a time.

    >>> signature("a secret", "1340285400", b"{}")[:20]
    'sha256=29de2c9dcd036'
    """
    signed = timestamp.encode() + b"." + body
    return "sha256=" + hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()


class Webhook:
    """A URL that facts are posted to."""

    def __init__(
        self, url: str, secret: str, *, pause: Callable[[float], None] = time.sleep
    ) -> None:
        """Check the URL; raise `BadQuestion` where nothing can be posted to it."""
        try:
            parsed = httpx2.URL(url)
        except httpx2.InvalidURL:
            raise BadQuestion("webhook: this is no URL") from None
        if parsed.scheme not in ("http", "https") or not parsed.host:
            raise BadQuestion("webhook: a URL begins with http:// or https:// and names a host")
        self.shown = f"{parsed.scheme}://{parsed.host}"
        """The URL without what may be secret in it."""
        self._url, self._secret, self._pause = parsed, secret, pause
        self._client = httpx2.Client(timeout=TIMEOUT_SECONDS, follow_redirects=False)

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def post(self, fact_id: str, body: bytes) -> str | None:
        """Post a fact; return None once it was taken, else why it was not."""
        fault = "was not tried"
        for attempt in range(ATTEMPTS):
            if attempt:
                self._pause(FIRST_PAUSE_SECONDS * 2 ** (attempt - 1))
            try:
                status = self._post_once(fact_id, body)
            except httpx2.TransportError as error:
                fault = f"can't be reached ({type(error).__name__})"
                continue
            if status < 300:  # noqa: PLR2004 - taken
                return None
            fault = f"answers {status}"
            if status < _SERVER_ERRORS and status not in _WORTH_ANOTHER:
                break
        return f"{self.shown} {fault}"

    def _post_once(self, fact_id: str, body: bytes) -> int:
        timestamp = str(int(clock.now_ms() / 1000))
        headers = {
            "Content-Type": "application/json",
            "X-Orderflow-Id": fact_id,
            "X-Orderflow-Timestamp": timestamp,
            "X-Orderflow-Signature": signature(self._secret, timestamp, body),
        }
        response = self._client.post(self._url, content=body, headers=headers)
        status: int = response.status_code
        return status
