"""A million quotes, written at once and cheaply."""

import time

import redis

MILLION = 1_000_000
_SECONDS = 3000
_A_CALL = 2000


def write_million_quotes(client: redis.Redis, ticker: str) -> None:
    """Write a million quotes of a ticker, evenly over the last fifty minutes."""
    start_ms = time.time() * 1000.0 - _SECONDS * 1000
    for first in range(0, MILLION, _A_CALL):
        some = {}
        for number in range(first, first + _A_CALL):
            stamp = round(start_ms + number * _SECONDS * 1000 / MILLION, 3)
            some[_quote(number, stamp)] = stamp
        client.zadd(f"orderflow:quotes:{ticker}", some)


def _quote(number: int, stamp: float) -> bytes:
    bid = 10_000 + number // 50 % 7
    sizes = number % 9 + 1, number % 7 + 1
    return (
        b'{"timestamp":%.3f,"bid_price":%.2f,"bid_size":%d.0,"ask_price":%.2f,"ask_size":%d.0,'
        b'"seq":%d}'
    ) % (stamp, bid / 100, sizes[0], (bid + 1) / 100, sizes[1], number)
