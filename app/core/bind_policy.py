"""Who may listen where: nothing is open beyond this machine that asks for no credentials."""

import ipaddress
from contextlib import suppress

from app.core.errors import SettingError
from app.core.settings import Settings


def is_loopback(host: str) -> bool:
    """Tell whether an address is reached from this machine only; of a name only `localhost` is.

    >>> [is_loopback(host) for host in ("127.0.0.1", "::1", "localhost")]
    [True, True, True]
    >>> [is_loopback(host) for host in ("0.0.0.0", "::", "", "10.0.0.5", "localhost.example")]
    [False, False, False, False, False]
    """
    with suppress(ValueError):
        return ipaddress.ip_address(host).is_loopback
    return host == "localhost"


def bearer_tokens_for(settings: Settings, host: str) -> list[str]:
    """Return the tokens that clients of an MCP server at `host` must come with.

    Raises `SettingError` where it would be open to other machines without any.
    """
    tokens = settings.mcp_bearer_tokens()
    if not tokens and not is_loopback(host):
        raise SettingError(
            f"the MCP server at {host!r} would be open to other machines; set ORDERFLOW_MCP_TOKEN "
            "or ORDERFLOW_MCP_TOKEN_FILE, or listen on 127.0.0.1"
        )
    return tokens


def check_flower(host: str, *, has_credentials: bool) -> None:
    """Refuse a Flower that would be open to other machines without credentials.

    Raises `SettingError`.
    """
    if not has_credentials and not is_loopback(host):
        raise SettingError(
            f"Flower at {host!r} would be open to other machines; set FLOWER_BASIC_AUTH="
            "user:password, or listen on 127.0.0.1"
        )
