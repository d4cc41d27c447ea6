"""Check, make and translate the URLs of a Redis; no message of this module shows one."""

import ipaddress
import re
from collections.abc import Mapping
from urllib.parse import SplitResult, parse_qsl, quote, urlencode, urlsplit, urlunsplit

from redis import ConnectionPool, RedisError

DATA_SCHEMES = ("redis", "rediss", "unix")
_KOMBU_SOCKET = "redis+socket"
_HOST_NAME = re.compile(r"[\w.-]+")


def tcp_url(host: str, port: int, database: int, password: str | None) -> str:
    """Return the URL of a Redis at a host; the password may hold any character.

    >>> tcp_url("::1", 6379, 0, "a/b#c")
    'redis://:a%2Fb%23c@[::1]:6379/0'
    """
    secret = "" if password is None else f":{quote(password, safe='')}@"
    return f"redis://{secret}{bracketed(host)}:{port}/{database}"


def bracketed(host: str) -> str:
    """Return a host as it stands before a port: an IPv6 address in brackets."""
    plain = host.removeprefix("[").removesuffix("]")
    return f"[{quote(plain, safe=':')}]" if ":" in plain else plain


def check_host(host: str) -> None:
    """Raise `ValueError` where a text is neither a host's name nor an address, or is more."""
    is_bracketed = host.startswith("[") and host.endswith("]")
    if is_bracketed or ":" in host:
        ipaddress.IPv6Address(host[1:-1] if is_bracketed else host)
    elif not _HOST_NAME.fullmatch(host):
        raise ValueError("no name of a host")


def check_data_url(url: str) -> None:
    """Raise `ValueError` where redis-py would refuse a URL later, with the URL in its traceback."""
    _check(url, DATA_SCHEMES)


def check_broker_url(url: str) -> None:
    """Raise `ValueError` where kombu would refuse a URL later, or wait for ever at its address.

    kombu's own form of a Unix socket, and several Sentinels separated by `;`, are allowed too.
    """
    if url.startswith("sentinel:"):
        for one in url.split(";"):
            _check_parts(_split(one, ("sentinel",)))
    else:
        _check(_with_plain_scheme(url), DATA_SCHEMES)


def database_of(url: str) -> int:
    """Return the number of the database that a checked URL selects."""
    parts = urlsplit(url)
    options = dict(parse_qsl(parts.query))
    named = options.get("db", "" if parts.scheme == "unix" else parts.path.strip("/"))
    return int(named or 0)


def as_kombu_url(url: str) -> str:
    """Return a checked URL in kombu's words, which has no options but those of TLS.

    >>> as_kombu_url("unix://:secret@/run/redis.sock?db=2")
    'redis+socket://:secret@/run/redis.sock?virtual_host=2'
    >>> as_kombu_url("redis://localhost?db=2")
    'redis://localhost/2'
    """
    if url.startswith(("sentinel:", f"{_KOMBU_SOCKET}:")):
        return url
    parts = urlsplit(url)
    options = dict(parse_qsl(parts.query))
    address, database = _with_credentials(parts.netloc, options), str(database_of(url))
    if parts.scheme == "unix":
        return f"{_KOMBU_SOCKET}://{address}{parts.path}?virtual_host={database}"
    tls = urlencode({name: text for name, text in options.items() if name.startswith("ssl_")})
    return urlunsplit((parts.scheme, address, database, tls, ""))


def _with_credentials(netloc: str, options: Mapping[str, str]) -> str:
    """Return an address with the user and password that redis-py also takes as options."""
    given = [options.get(name, "") for name in ("username", "password")]
    if "@" in netloc or not any(given):
        return netloc
    user, password = (quote(text, safe="") for text in given)
    return f"{user}:{password}@{netloc}"


def _check(url: str, schemes: tuple[str, ...]) -> None:
    parts = _split(url, schemes)
    _check_parts(parts)
    try:
        pool = ConnectionPool.from_url(url)
        pool.connection_class(**pool.connection_kwargs)
    except (ValueError, TypeError, RedisError):
        raise ValueError("an option is unknown or has no such value") from None


def _split(url: str, schemes: tuple[str, ...]) -> SplitResult:
    if not url.isprintable() or " " in url:  # urlsplit would drop some of these without notice
        raise ValueError("a space or control character")
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018 - raises where it is no number
    except ValueError:
        raise ValueError("no address") from None
    if parts.scheme not in schemes:
        raise ValueError("another scheme")
    return parts


def _check_parts(parts: SplitResult) -> None:
    # An unencoded `#` ends the address in the middle of a password.
    if parts.fragment or parts.port == 0:
        raise ValueError("no address")
    if parts.scheme == "unix":
        if parts.hostname or not parts.path.startswith("/") or parts.path == "/":
            raise ValueError("no path of a socket")
    elif not _is_database(parts.path.removeprefix("/")):
        raise ValueError("no number of a database")
    if not _is_database(dict(parse_qsl(parts.query)).get("db", "")):
        raise ValueError("no number of a database")


def _is_database(text: str) -> bool:
    return not text or (text.isascii() and text.isdecimal())


def _with_plain_scheme(url: str) -> str:
    """Return kombu's form of a Unix socket as redis-py's."""
    if not url.startswith(f"{_KOMBU_SOCKET}:"):
        return url
    parts = urlsplit(url)
    options = dict(parse_qsl(parts.query))
    if "virtual_host" in options:
        options["db"] = options.pop("virtual_host")
    return f"unix://{parts.netloc}{parts.path}?{urlencode(options)}"
