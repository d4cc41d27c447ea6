"""Tokens and passwords as settings: which are taken, and that no message shows one."""

from pathlib import Path

import pytest

from app.core.bind_policy import bearer_tokens_for, check_flower
from app.core.errors import SettingError
from app.core.settings import Settings, read_settings

TOKEN = "a-token-that-nobody-guesses"  # noqa: S105 - a test's
ANYWHERE = "0.0.0.0"  # noqa: S104 - what an attacker hopes for


@pytest.fixture(autouse=True)
def _nothing_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ORDERFLOW_MCP_TOKEN", "ORDERFLOW_MCP_TOKEN_FILE", "REDIS_URL"):
        monkeypatch.delenv(name, raising=False)


def with_file(path: Path) -> Settings:
    return Settings(ORDERFLOW_MCP_TOKEN_FILE=str(path))


@pytest.mark.parametrize("content", ["", "\n\n", "short\n", f"{TOKEN}\nshort\n", "\udcff" * 20])
def test_a_file_without_good_tokens_is_refused_and_not_shown(tmp_path: Path, content: str) -> None:
    path = tmp_path / "tokens"
    path.write_bytes(content.encode("utf-8", "surrogateescape"))

    with pytest.raises(SettingError, match="ORDERFLOW_MCP_TOKEN_FILE=") as refused:
        with_file(path).mcp_bearer_tokens()

    assert TOKEN not in str(refused.value)
    assert "short" not in str(refused.value)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="can't be read: FileNotFoundError"):
        with_file(tmp_path / "none").mcp_bearer_tokens()


def test_tokens_of_variable_and_file_are_all_taken(tmp_path: Path) -> None:
    path = tmp_path / "tokens"
    path.write_text(f"  second-{TOKEN}\r\n\nthird-{TOKEN}")
    settings = Settings(ORDERFLOW_MCP_TOKEN=TOKEN, ORDERFLOW_MCP_TOKEN_FILE=str(path))

    assert settings.mcp_bearer_tokens() == [TOKEN, f"second-{TOKEN}", f"third-{TOKEN}"]


def test_no_setting_shows_a_secret_when_it_is_printed() -> None:
    settings = Settings(
        REDIS_PASSWORD=TOKEN, REDIS_URL=f"redis://:{TOKEN}@h/0", ORDERFLOW_MCP_TOKEN=TOKEN
    )

    assert TOKEN not in f"{settings} {settings!r} {settings.model_dump()}"


@pytest.mark.parametrize("host", [ANYWHERE, "::", "", "10.0.0.5", "a.example"])
def test_nothing_is_open_beyond_this_machine_without_credentials(host: str) -> None:
    with pytest.raises(SettingError, match="ORDERFLOW_MCP_TOKEN"):
        bearer_tokens_for(Settings(), host)
    with pytest.raises(SettingError, match="FLOWER_BASIC_AUTH"):
        check_flower(host, has_credentials=False)

    assert bearer_tokens_for(Settings(ORDERFLOW_MCP_TOKEN=TOKEN), host) == [TOKEN]
    check_flower(host, has_credentials=True)


def test_a_wrong_address_is_refused_by_name_and_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDIS_URL", f"redis://:{TOKEN}@h/0?socket_timeout=soon")

    with pytest.raises(SettingError, match=r"REDIS_URL=\(hidden\) is not allowed") as refused:
        read_settings()

    assert TOKEN not in str(refused.value)
