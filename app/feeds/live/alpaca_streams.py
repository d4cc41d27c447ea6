"""Alpaca's streams by dataset: where each is, and which part of the market it has."""

from typing import NamedTuple

from app.feeds.live.venue import Scope

HOST = "wss://stream.data.alpaca.markets"


class Stream(NamedTuple):
    """A stream of the host."""

    path: str
    scope: Scope

    @property
    def address(self) -> str:
        """Return its address."""
        return f"{HOST}{self.path}"


STREAMS = {
    "iex": Stream("/v2/iex", "venue"),
    "sip": Stream("/v2/sip", "consolidated"),
    "delayed_sip": Stream("/v2/delayed_sip", "consolidated"),
    "crypto": Stream("/v1beta3/crypto/us", "venue"),
    "opra": Stream("/v1beta1/opra", "consolidated"),
    "indicative": Stream("/v1beta1/indicative", "consolidated"),
}
