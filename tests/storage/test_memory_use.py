"""The memory that Redis uses, as whoever has the right to ask is told."""

import pytest
import redis

from app.storage.memory_use import used_memory_bytes

pytestmark = pytest.mark.redis


def test_the_memory_grows_with_the_data(redis_client: redis.Redis) -> None:
    before = used_memory_bytes(redis_client)
    redis_client.set("large", b"x" * 1_000_000)

    after = used_memory_bytes(redis_client)

    assert before is not None
    assert after is not None
    assert after - before >= 1_000_000


def test_without_the_right_to_ask_it_is_not_known(redis_client: redis.Redis) -> None:
    redis_client.execute_command("ACL", "SETUSER", "poor", "on", "nopass", "+ping", "~*")
    place = redis_client.connection_pool.connection_kwargs
    try:
        with redis.Redis(port=place["port"], username="poor", password="any") as poor:  # noqa: S106
            assert used_memory_bytes(poor) is None
    finally:
        redis_client.execute_command("ACL", "DELUSER", "poor")
