"""Check the address that replaces a live venue's own."""

from urllib.parse import urlsplit


def check_feed_url(url: str) -> None:
    """Raise `ValueError` unless an address is `ws://HOST...`, `wss://HOST...` or `HOST:PORT`.

    >>> check_feed_url("ws://127.0.0.1:9101/kraken"), check_feed_url("127.0.0.1:13000")
    (None, None)
    """
    is_socket = url.startswith(("ws://", "wss://"))
    parts = urlsplit(url if is_socket else f"//{url}")
    if not parts.hostname or (not is_socket and (parts.port is None or parts.path)):
        raise ValueError("no address")
