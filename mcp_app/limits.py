"""Limit each client's rate of requests and each request's time.

Of the libraries for rate limits, `limits` (and slowapi, which is based on it) stores an unlimited
number of clients and scans all of them every 10 ms in a thread; aiolimiter has no limit by client.
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

MAX_CLIENTS = 10_000
ANSWER_SECONDS = 5.0
_V6_NETWORK_BITS = 64
_TIME_LIMIT = "orderflow.time_limit"


class _Bucket(msgspec.Struct):
    requests: float
    filled_at: float


class TokenBuckets:
    """A token bucket for each client: `per_minute` requests at once, refilled over a minute."""

    def __init__(self, per_minute: int, max_clients: int = MAX_CLIENTS) -> None:
        self._capacity = float(per_minute)
        self._per_second = per_minute / 60
        self._max_clients = max_clients
        self._buckets: OrderedDict[str, _Bucket] = OrderedDict()

    def wait_seconds(self, client: str, now: float) -> float:
        """Count a request and return 0, or return how long the client has to wait for the next."""
        bucket = self._filled(client, now)
        self._buckets[client] = bucket
        if len(self._buckets) > self._max_clients:
            self._buckets.popitem(last=False)
        wait_seconds = self._until_next(bucket)
        if not wait_seconds:
            bucket.requests -= 1
        return wait_seconds

    def left_seconds(self, client: str, now: float) -> float:
        """Return how long the client has to wait for the next request, and count none."""
        if client not in self._buckets:
            return 0.0
        self._buckets[client] = bucket = self._filled(client, now)
        return self._until_next(bucket)

    def _filled(self, client: str, now: float) -> _Bucket:
        """Take out a client's bucket, refilled up to now."""
        bucket = self._buckets.pop(client, None) or _Bucket(self._capacity, now)
        gained = (now - bucket.filled_at) * self._per_second
        bucket.requests = min(self._capacity, bucket.requests + gained)
        bucket.filled_at = now
        return bucket

    def _until_next(self, bucket: _Bucket) -> float:
        return max(0.0, (1 - bucket.requests) / self._per_second)

    def __len__(self) -> int:
        return len(self._buckets)


def client_of(scope: Scope) -> str:
    """Return a client's address; for IPv6 its /64 network, since one machine has many addresses.

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
    """Reject requests above a client's rate with 429 and Retry-After."""

    def __init__(self, app: ASGIApp, per_minute: int) -> None:
        self._app = app
        self._buckets = TokenBuckets(per_minute)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or reject it."""
        wait_seconds = 0.0
        if scope["type"] == "http":
            wait_seconds = self._buckets.wait_seconds(client_of(scope), time.monotonic())
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
    """End requests that take too long: with 408 if their body is incomplete, else with 503.

    The limit ends with the start of the response: a stream lasts as long as its client listens.
    """

    def __init__(self, app: ASGIApp, seconds: float = ANSWER_SECONDS) -> None:
        self._app = app
        self._seconds = seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on; respond in the application's place after the time limit."""
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        is_complete = scope["method"] == "GET"

        async def receive_body() -> Message:
            nonlocal is_complete
            message = await receive()
            is_complete = not message.get("more_body", False)
            return message

        async def send_without_limit(message: Message) -> None:
            limit.deadline = math.inf
            await send(message)

        with anyio.move_on_after(self._seconds) as limit:
            scope[_TIME_LIMIT] = limit
            return await self._app(scope, receive_body, send_without_limit)
        refusal = JSONResponse(
            {"error": f"not done within {self._seconds:g} s"},
            status_code=503 if is_complete else 408,
            headers={"Connection": "close"},
        )
        return await refusal(scope, receive, send)


def allow_seconds(scope: Scope, seconds: float) -> None:
    """Let a request take longer than others: one that is to wait."""
    limit = scope.get(_TIME_LIMIT)
    if limit is not None:
        limit.deadline = max(limit.deadline, anyio.current_time() + seconds)
