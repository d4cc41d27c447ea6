"""The addresses of resources: a ticker's, and whether an address is one of this server's."""

from urllib.parse import quote, unquote

from app.core.tickers import is_ticker

TICKERS = "orderflow://tickers"
SNAPSHOT = "orderflow://{ticker}/snapshot"
PATTERNS = "orderflow://{ticker}/patterns"
ADDRESS_CHARACTERS = 200


def resource_uris(ticker: str) -> list[str]:
    """Return the URIs of a ticker's resources.

    >>> resource_uris("BTC/USDT")
    ['orderflow://BTC%2FUSDT/snapshot', 'orderflow://BTC%2FUSDT/patterns']
    """
    return [form.replace("{ticker}", quote(ticker, safe="")) for form in (SNAPSHOT, PATTERNS)]


def known_uri(uri: str) -> str | None:
    """Return the usual form of the URI of a resource, or None if there can't be such a resource.

    >>> known_uri("orderflow://BTC%2fUSDT/snapshot"), known_uri("orderflow://A B/snapshot")
    ('orderflow://BTC%2FUSDT/snapshot', None)
    """
    if uri == TICKERS:
        return uri
    if len(uri) > ADDRESS_CHARACTERS:
        return None
    for number, form in enumerate((SNAPSHOT, PATTERNS)):
        head, tail = form.split("{ticker}")
        if uri.startswith(head) and uri.endswith(tail):
            ticker = unquote(uri[len(head) : -len(tail)])
            if is_ticker(ticker):
                return resource_uris(ticker)[number]
    return None


def ticker_of(uri: str) -> str | None:
    """Return the ticker that a URI in its usual form names, None for other resources.

    >>> ticker_of("orderflow://BTC%2FUSDT/patterns"), ticker_of(TICKERS)
    ('BTC/USDT', None)
    """
    for form in (SNAPSHOT, PATTERNS):
        head, tail = form.split("{ticker}")
        if uri.startswith(head) and uri.endswith(tail):
            return unquote(uri[len(head) : -len(tail)])
    return None
