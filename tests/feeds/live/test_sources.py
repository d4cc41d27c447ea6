"""What may be asked of a live source, and where it is read."""

import re

import pytest

from app.core.errors import SettingError
from app.core.feed_url import check_feed_url
from app.feeds.live.sources import parse_request


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABENTO_API_KEY", "a key")


@pytest.mark.parametrize(
    ("asked", "url", "why"),
    [
        ("kraken:BTC/USD", "127.0.0.1:9101", "kraken is read at ws:// or wss:// with a host"),
        ("databento:XNAS.ITCH:SPY", "ws://127.0.0.1:9101", "databento is read at HOST:PORT"),
    ],
)
def test_an_address_of_another_kind_of_source_is_refused(asked: str, url: str, why: str) -> None:
    request = parse_request(asked)

    with pytest.raises(SettingError, match=re.escape(f"{why}: ORDERFLOW_FEED_URL is another")):
        request.check(url)
    with pytest.raises(SettingError, match=re.escape(why)):
        request.adapter(url)


@pytest.mark.parametrize(
    ("asked", "url"),
    [
        ("kraken:BTC/USD", "wss://127.0.0.1:9101/v2"),
        ("databento:XNAS.ITCH:SPY", "[::1]:9101"),
        ("kraken:BTC/USD", None),
        ("databento:XNAS.ITCH:SPY", None),
    ],
)
def test_an_address_of_its_kind_and_none_are_taken(asked: str, url: str | None) -> None:
    parse_request(asked).adapter(url)()


@pytest.mark.parametrize("url", ["wss://venue:99999/", "venue:99999", "venue", "ws://", "a:1/b"])
def test_what_is_no_address_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match=r"address|Port"):
        check_feed_url(url)
