"""Refuse to listen for other machines without credentials."""

import ipaddress
from contextlib import suppress

from app.core.errors import SettingError
from app.core.settings import Settings


def is_loopback(host: str) -> bool:
    """Return whether only this machine can reach an address; of names, only `localhost` counts.

    >>> [is_loopback(host) for host in ("127.0.0.1", "::1", "localhost")]
    [True, True, True]
    >>> [is_loopback(host) for host in ("0.0.0.0", "::", "", "10.0.0.5", "localhost.example")]
    [False, False, False, False, False]
    """
    with suppress(ValueError):
        return ipaddress.ip_address(host).is_loopback
    return host == "localhost"


def bearer_tokens_for(settings: Settings, host: str) -> list[str]:
    """Return the bearer tokens that an MCP server at `host` accepts; empty if it needs none.

    Raises `SettingError` if other machines could reach the server without a token.
    """
    tokens = settings.mcp_bearer_tokens()
    if not tokens and not is_loopback(host):
        raise SettingError(
            f"the MCP server at {host!r} would be open to other machines; set ORDERFLOW_MCP_TOKEN "
            "or ORDERFLOW_MCP_TOKEN_FILE, or listen on 127.0.0.1"
        )
    return tokens


def check_flower(host: str, *, has_credentials: bool) -> None:
    """Raise `SettingError` if other machines could reach Flower without credentials."""
    if not has_credentials and not is_loopback(host):
        raise SettingError(
            f"Flower at {host!r} would be open to other machines; set FLOWER_BASIC_AUTH="
            "user:password, or listen on 127.0.0.1"
        )
