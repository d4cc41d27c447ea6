"""Read the host of a Host or Origin header; anything but a name and a numeric port is no host."""

import ipaddress
import re
from contextlib import suppress

_LARGEST_PORT = 65_535
_HOST = re.compile(r"(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(?::([0-9]{1,5}))?", re.ASCII)
_ORIGIN = re.compile(r"(https?)://(.+)", re.ASCII)


def host_name(text: str) -> str | None:
    """Return the name in `name` or `name:port`, in lower case; None if it is anything else.

    >>> host_name("LocalHost:80"), host_name("[0:0:0:0:0:0:0:1]")
    ('localhost', '[::1]')
    >>> host_name("localhost:@evil.com"), host_name("localhost:"), host_name("localhost:99999")
    (None, None, None)
    """
    found = _HOST.fullmatch(text.lower())
    if found is None or int(found[2] or 0) > _LARGEST_PORT:
        return None
    if not found[1].startswith("["):
        return found[1]
    with suppress(ValueError):
        return f"[{ipaddress.IPv6Address(found[1][1:-1])}]"
    return None


def origin_of(text: str) -> str | None:
    """Return the scheme and host of an Origin header, without its port; None if it has no host.

    >>> origin_of("HTTPS://Flow.Example:8443"), origin_of("null"), origin_of("http://a@b")
    ('https://flow.example', None, None)
    """
    found = _ORIGIN.fullmatch(text.lower())
    name = None if found is None else host_name(found[2])
    return None if found is None or name is None else f"{found[1]}://{name}"
