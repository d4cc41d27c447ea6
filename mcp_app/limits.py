"""How much one client may ask, and how long a request may take.

Of the libraries for rate limits, `limits` (and slowapi on top of it) keeps no bound on the clients
that it remembers and looks through all of them in a thread each 10 ms; aiolimiter knows no clients.
"""

import ipaddress
import math
import time
from collections import OrderedDict
from contextlib import suppress

import anyio
import msgspec
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

MOST_CLIENTS = 10_000
ANSWER_SECONDS = 5.0
_V6_NETWORK_BITS = 64


class _Bucket(msgspec.Struct):
    requests: float
    filled_at: float


class TokenBuckets:
    """A token bucket a client: so many requests at once, as many again over a minute."""

    def __init__(self, per_minute: int, most_clients: int = MOST_CLIENTS) -> None:
        self._most = float(per_minute)
        self._per_second = per_minute / 60
        self._most_clients = most_clients
        self._buckets: OrderedDict[str, _Bucket] = OrderedDict()

    def wait_seconds(self, client: str, now: float) -> float:
        """Take a request of a client's, or return how long it has to wait for one."""
        bucket = self._buckets.pop(client, None) or _Bucket(self._most, now)
        gained = (now - bucket.filled_at) * self._per_second
        bucket.requests = min(self._most, bucket.requests + gained)
        bucket.filled_at = now
        self._buckets[client] = bucket
        if len(self._buckets) > self._most_clients:
            self._buckets.popitem(last=False)
        if bucket.requests < 1:
            return (1 - bucket.requests) / self._per_second
        bucket.requests -= 1
        return 0.0

    def __len__(self) -> int:
        return len(self._buckets)


def client_of(scope: Scope) -> str:
    """Name a client by its address; of IPv6, of which one machine has many, by its network.

    >>> client_of({"client": ("2001:db8::1:2", 5)}), client_of({"client": None})
    ('2001:db8::/64', 'local')
    """
    host = (scope.get("client") or ("local", 0))[0]
    with suppress(ValueError):
        address = ipaddress.ip_address(host)
        if address.version == 6 and not address.is_loopback:  # noqa: PLR2004 - IPv6
            return str(ipaddress.ip_network((int(address), _V6_NETWORK_BITS), strict=False))
    return str(host)


class LimitRate:
    """Answers 429 with Retry-After to a client that asks too much."""

    def __init__(self, app: ASGIApp, per_minute: int) -> None:
        self._app = app
        self._allowance = TokenBuckets(per_minute)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer for the application, or refuse."""
        wait_seconds = 0.0
        if scope["type"] == "http":
            wait_seconds = self._allowance.wait_seconds(client_of(scope), time.monotonic())
        if not wait_seconds:
            return await self._app(scope, receive, send)
        whole_seconds = math.ceil(wait_seconds)
        refusal = JSONResponse(
            {"error": f"too many requests; ask again in {whole_seconds} s"},
            status_code=429,
            headers={"Retry-After": str(whole_seconds)},
        )
        return await refusal(scope, receive, send)


class LimitTime:
    """Answers for a request that took too long: 408 where it never came whole, else 503.

    Until the answer begins: a stream, once begun, lasts as long as its client listens.
    """

    def __init__(self, app: ASGIApp, seconds: float = ANSWER_SECONDS) -> None:
        self._app = app
        self._seconds = seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer for the application, or in its place once it took too long."""
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        is_whole = scope["method"] == "GET"

        async def heard() -> Message:
            nonlocal is_whole
            message = await receive()
            is_whole = not message.get("more_body", False)
            return message

        async def said(message: Message) -> None:
            limit.deadline = math.inf
            await send(message)

        with anyio.move_on_after(self._seconds) as limit:
            return await self._app(scope, heard, said)
        refusal = JSONResponse(
            {"error": f"not done within {self._seconds:g} s"},
            status_code=503 if is_whole else 408,
            headers={"Connection": "close"},
        )
        return await refusal(scope, receive, send)
