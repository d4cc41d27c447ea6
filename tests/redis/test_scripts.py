"""Scripts on kept connections: they go on after what happens to connections and servers."""

import pytest
import redis
from redis.exceptions import ResponseError

from app.scripts import Script

pytestmark = pytest.mark.redis

ARGS = ["1-2", 1_700_000_000_000, 3_600, 20_000, 100_000, 60]


def keys() -> list[str]:
    return [f"orderflow:{kind}:SPY" for kind in ("state", "quotes", "trades", "bars", "patterns")]


def test_a_script_that_the_server_forgot_is_loaded_anew(redis_client: redis.Redis) -> None:
    script = Script(redis_client, "read")
    first = script(keys=keys(), args=ARGS)

    redis_client.script_flush()

    assert script(keys=keys(), args=ARGS) == first


def test_a_connection_that_was_killed_is_opened_anew_at_once(redis_client: redis.Redis) -> None:
    script = Script(redis_client, "read")
    first = script(keys=keys(), args=ARGS)

    redis_client.client_kill_filter(_type="normal", skipme=True)

    assert script(keys=keys(), args=ARGS) == first


def test_a_failing_script_leaves_its_connection_in_use(redis_client: redis.Redis) -> None:
    script = Script(redis_client, "read")
    first = script(keys=keys(), args=ARGS)

    with pytest.raises(ResponseError):
        script(keys=keys(), args=["?"])

    assert script(keys=keys(), args=ARGS) == first


def test_scripts_keep_one_connection_however_often_they_run(redis_client: redis.Redis) -> None:
    script = Script(redis_client, "read")
    script(keys=keys(), args=ARGS)
    before = redis_client.info("stats")["total_connections_received"]

    for _ in range(20):
        script(keys=keys(), args=ARGS)

    assert redis_client.info("stats")["total_connections_received"] == before
