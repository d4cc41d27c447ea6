"""Addresses of a Redis as settings: which are taken, in whose words, and that none is shown."""

import kombu
import pytest
from redis import ConnectionPool

from app.core.errors import SettingError
from app.core.settings import Settings, read_settings

SECRET = "s3cretS3cret"  # noqa: S105 - a test's
NAMES = ("REDIS_URL", "REDIS_HOST", "REDIS_DB", "REDIS_PASSWORD", "ORDERFLOW_BROKER_URL")


@pytest.fixture(autouse=True)
def _nothing_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)


def by_redis_py(url: str) -> dict[str, object]:
    """Return where redis-py would connect."""
    given = ConnectionPool.from_url(url).connection_kwargs
    return {name: given.get(name) for name in ("host", "port", "path", "db", "password")}


def by_kombu(url: str) -> dict[str, object]:
    """Return where kombu would connect, by the options of its own connections."""
    found = kombu.Connection(url)
    if found.hostname and "://" in found.hostname:
        path = found.hostname.partition("@")[2] or found.hostname.partition("://")[2]
        return {"path": path.partition("?")[0], "db": int(path.rpartition("=")[2])}
    return {
        "host": found.hostname,
        "port": found.port,
        "db": int(found.virtual_host or 0),
        "password": found.password,
    }


@pytest.mark.parametrize(
    "url",
    [
        "redis://10.0.0.5:7000/3",
        f"redis://:{SECRET}%23%2F@h:6379/0",
        "redis://[::1]:6379/1",
        "redis://h:6379?db=2",
        f"redis://h:6379/2?password={SECRET}&socket_timeout=5",
        "unix:///run/redis.sock",
        f"unix://:{SECRET}%23@/run/redis.sock?db=5",
        "unix:///run/my%20redis.sock?db=1",
        "rediss://h:6380/4?ssl_cert_reqs=none",
    ],
)
def test_one_address_leads_redis_py_and_kombu_to_the_same_place(url: str) -> None:
    settings = Settings(REDIS_URL=url)

    data, broker = by_redis_py(settings.redis_url), by_kombu(settings.broker_url)

    if data["path"] is None:
        assert {name: data[name] for name in broker} == broker
    else:
        assert str(broker["path"]).replace("%20", " ") == data["path"]
        assert broker["db"] == settings.redis_database == (data["db"] or 0)


@pytest.mark.parametrize("name", ["REDIS_URL", "ORDERFLOW_BROKER_URL"])
@pytest.mark.parametrize(
    "url",
    [
        f"redis://:{SECRET}#@127.0.0.1:6379/0",
        f"redis://:{SECRET}/{SECRET}@127.0.0.1:6379/0",
        f"redis://:{SECRET} x@127.0.0.1:6379/0",
        f"redis://:{SECRET}\n@127.0.0.1:6379/0",
        f"{SECRET}:6379",
        f"{SECRET}",
        f"amqp://guest:{SECRET}@h//",
        f"http://:{SECRET}@h",
        f"memory://{SECRET}",
        f"redis://:{SECRET}@h/zero",
        f"redis://:{SECRET}@h/0/1",
        f"redis://:{SECRET}@h/-1",
        f"redis://:{SECRET}@h?db=one",
        f"redis://:{SECRET}@h:99999/0",
        f"redis://:{SECRET}@h:port/0",
        f"redis://:{SECRET}@[::1/0",
        f"redis://:{SECRET}@h/0?unknown=1",
        f"redis://:{SECRET}@h/0?socket_timeout=soon",
        f"unix://:{SECRET}@host/run/redis.sock",
        f"unix://:{SECRET}@/",
        f"unix://:{SECRET}@/run/redis.sock?db=zero",
    ],
)
def test_what_is_no_address_of_a_redis_is_refused_by_name_and_hidden(
    monkeypatch: pytest.MonkeyPatch, name: str, url: str
) -> None:
    monkeypatch.setenv(name, url)

    with pytest.raises(SettingError, match=rf"^{name}=\(hidden\) is not allowed; .*") as refused:
        read_settings()

    assert SECRET not in str(refused.value)
    assert "\n" not in str(refused.value)
    assert refused.value.__cause__ is None


@pytest.mark.parametrize(
    "url",
    [
        "redis://h",
        "sentinel://a:26379;sentinel://b:26379",
        "redis+socket:///run/redis.sock?virtual_host=1",
    ],
)
def test_a_broker_may_be_any_redis_that_the_documents_name(url: str) -> None:
    assert Settings(ORDERFLOW_BROKER_URL=url).broker_url.startswith(url.partition(":")[0])


@pytest.mark.parametrize(
    ("host", "shown"),
    [
        ("::1", "[::1]"),
        ("[::1]", "[::1]"),
        ("fe80::1%eth0", "[fe80::1%25eth0]"),
        ("10.0.0.5", "10.0.0.5"),
        ("redis_1.internal", "redis_1.internal"),
    ],
)
def test_a_host_is_a_name_or_an_address_of_either_kind(host: str, shown: str) -> None:
    settings = Settings(REDIS_HOST=host, REDIS_PASSWORD=SECRET)

    assert settings.redis_url == f"redis://:{SECRET}@{shown}:6379/0"
    assert by_redis_py(settings.redis_url)["host"] == host.strip("[]")
    assert by_kombu(settings.broker_url)["host"] == host.strip("[]")


@pytest.mark.parametrize(
    "host", ["h:6379", "redis://h", "h/0", "a b", ":", "1:2", "[::1", f"u:{SECRET}@h", "::1]"]
)
def test_what_is_more_or_less_than_a_host_is_refused(
    monkeypatch: pytest.MonkeyPatch, host: str
) -> None:
    monkeypatch.setenv("REDIS_HOST", host)

    with pytest.raises(SettingError, match=r"^REDIS_HOST=.* is not allowed; allowed: ") as refused:
        read_settings()

    assert SECRET not in str(refused.value)


@pytest.mark.parametrize(
    "password", ['pa"ss', "it's", "back\\slash", " two words ", "pâßwörd…", "#%/@:?&=;", "a\nb"]
)
def test_any_password_arrives_as_it_is(password: str) -> None:
    settings = Settings(REDIS_PASSWORD=password)

    assert by_redis_py(settings.redis_url)["password"] == password
    assert by_kombu(settings.broker_url)["password"] == password


def test_a_password_that_is_no_text_is_refused_and_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDIS_PASSWORD", f"{SECRET}\udcff")

    with pytest.raises(SettingError, match=r"REDIS_PASSWORD=\(hidden\)") as refused:
        read_settings()

    assert SECRET not in str(refused.value)
