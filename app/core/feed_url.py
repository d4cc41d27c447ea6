"""Check the address that replaces a live venue's own."""

from urllib.parse import urlsplit


def is_websocket(url: str) -> bool:
    """Tell whether an address is that of a WebSocket, and not `HOST:PORT`."""
    return url.startswith(("ws://", "wss://"))


def check_feed_url(url: str) -> None:
    """Raise `ValueError` unless an address is `ws://HOST...`, `wss://HOST...` or `HOST:PORT`.

    >>> check_feed_url("ws://127.0.0.1:9101/kraken"), check_feed_url("127.0.0.1:13000")
    (None, None)
    """
    parts = urlsplit(url if is_websocket(url) else f"//{url}")
    port = parts.port  # raises where it is no port
    if not parts.hostname or (not is_websocket(url) and (port is None or parts.path)):
        raise ValueError("no address")
