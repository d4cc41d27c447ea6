"""Coinbase Advanced Trade, as its documentation has the frames: the whole book, level by level."""

import asyncio
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from tests.venues.kraken import rfc3339
from tests.venues.market import BestQuote, Event, Print
from tests.venues.server import Client, Frame, WebsocketVenue

TRADE_BATCH_SECONDS = 0.25
DEEPER_LEVELS = 20
CHANNELS = {"level2", "market_trades", "heartbeats"}
MAKER_SIDES = {"buy": "SELL", "sell": "BUY"}

Levels = list[dict[str, str]]


@dataclass
class Book:
    """The levels of a product; what was the touch may stay as a level behind it."""

    bids: dict[Decimal, Decimal] = field(default_factory=dict)
    asks: dict[Decimal, Decimal] = field(default_factory=dict)

    def move_to(self, quote: BestQuote) -> Levels:
        """Make a quote the touch, and return the levels that changed."""
        event_time = rfc3339(quote.at_ns)
        gone_bids = [price for price in self.bids if price > quote.bid or not quote.bid_size]
        gone_asks = [price for price in self.asks if price < quote.ask or not quote.ask_size]
        changes = [("bid", price, Decimal(0)) for price in gone_bids]
        changes += [("offer", price, Decimal(0)) for price in gone_asks]
        if quote.bid_size:
            changes.append(("bid", quote.bid, quote.bid_size))
        if quote.ask_size:
            changes.append(("offer", quote.ask, quote.ask_size))
        for side, price, size in changes:
            self._set(self.bids if side == "bid" else self.asks, price, size)
        return [_level(*change, event_time) for change in changes]

    def levels(self) -> Levels:
        """Return all levels, as a snapshot has them."""
        never = "1970-01-01T00:00:00Z"
        bids = [_level("bid", price, size, never) for price, size in self.bids.items()]
        return bids + [_level("offer", price, size, never) for price, size in self.asks.items()]

    @staticmethod
    def _set(side: dict[Decimal, Decimal], price: Decimal, size: Decimal) -> None:
        side.pop(price, None)
        if size:
            side[price] = size


class CoinbaseVenue(WebsocketVenue):
    """Numbers all messages of a connection; prints are collected for 250 ms."""

    def __init__(self, *symbols: str, **options: Any) -> None:
        super().__init__(*symbols, **options)
        self._books = {symbol: Book() for symbol in symbols}
        self._changes: dict[int, Levels] = {}
        self._prints: dict[Client, list[Print]] = {}
        self.print_frames: list[str] = []
        for quote in self.market.standing.values():
            self._books[quote.symbol].bids.update(_deeper(quote.bid, -1))
            self._books[quote.symbol].asks.update(_deeper(quote.ask, 1))
            self._books[quote.symbol].move_to(quote)

    def prepare(self, event: Event) -> None:
        if isinstance(event, BestQuote):
            self._changes[event.number] = self._books[event.symbol].move_to(event)

    def replies(self, client: Client, request: Any) -> Iterable[Frame]:
        channel, products = request["channel"], request.get("product_ids", [])
        refusal = self._refusal(client, channel, products)
        if refusal:
            yield json.dumps({"type": "error", "message": refusal})
            return
        if channel == "level2":
            client.quotes.update(products)
            for product in products:
                yield self._book_frame(client, "snapshot", product, self._books[product].levels())
        if channel == "market_trades":
            client.trades.update(products)
            for product in products:
                yield self._trades_frame(client, "snapshot", [*self.market.prints[product]])
        yield self._frame(client, "subscriptions", {"subscriptions": _subscribed(client)})

    def _refusal(self, client: Client, channel: str, products: list[str]) -> str:
        if channel not in CHANNELS:
            return f"channel {channel} is not supported"
        unknown = sorted(set(products) - set(self.symbols))
        if unknown:
            return f"{unknown[0]} is not a valid product"
        limit = self.faults.symbol_limit
        if limit is not None and len(client.quotes | set(products)) > limit:
            return "too many products"
        return ""

    def frames(self, client: Client, event: Event) -> Iterable[Frame]:
        if isinstance(event, BestQuote):
            yield self._book_frame(client, "update", event.symbol, self._changes[event.number])
            return
        if client not in self._prints:
            self._prints[client] = []
            asyncio.get_running_loop().call_later(TRADE_BATCH_SECONDS, self._send_prints, client)
        self._prints[client].append(event)

    def change_level(self, product: str, price: Decimal, size: Decimal) -> None:
        """Send a level that is not the touch."""
        event = {"type": "update", "product_id": product}
        levels = [_level("bid", price, size, rfc3339(self.now_ns()))]
        self.send_made(lambda client: self._frame(client, "l2_data", event | {"updates": levels}))

    def _send_prints(self, client: Client) -> None:
        frame = self._trades_frame(client, "update", self._prints.pop(client))
        self.print_frames.append(frame)
        for _ in range(1 + self.faults.repeat):
            client.send(frame, self.faults.slow_seconds)

    def heartbeat(self, client: Client) -> Iterator[Frame]:
        beat = {"current_time": "2026-11-30 12:00:00 +0000 UTC m=+1.5", "heartbeat_counter": 3049}
        yield self._frame(client, "heartbeats", beat)

    def pages(self) -> dict[str, Any]:
        products = [{"product_id": symbol, "status": "online"} for symbol in self.symbols]
        return {"/api/v3/brokerage/market/products": {"products": products}}

    def _book_frame(self, client: Client, kind: str, product: str, levels: Levels) -> Frame:
        event = {"type": kind, "product_id": product, "updates": levels}
        return self._frame(client, "l2_data", event)

    def _trades_frame(self, client: Client, kind: str, prints: list[Print]) -> str:
        event = {"type": kind, "trades": [_trade(one) for one in prints]}
        return self._frame(client, "market_trades", event)

    def _frame(self, client: Client, channel: str, event: dict[str, Any]) -> str:
        frame = {
            "channel": channel,
            "client_id": "",
            "timestamp": rfc3339(self.now_ns()),
            "sequence_num": client.take_sequence(),
            "events": [event],
        }
        return json.dumps(frame)


def _subscribed(client: Client) -> dict[str, list[str]]:
    channels = {"level2": client.quotes, "market_trades": client.trades}
    return {name: sorted(products) for name, products in channels.items() if products}


def _deeper(touch: Decimal, direction: int) -> dict[Decimal, Decimal]:
    """Return levels behind a price, far enough that the touch seldom reaches them."""
    return {
        touch + direction * Decimal(50 + step) / 100: Decimal(5)
        for step in range(1, DEEPER_LEVELS + 1)
    }


def _level(side: str, price: Decimal, size: Decimal, event_time: str) -> dict[str, str]:
    return {
        "side": side,
        "event_time": event_time,
        "price_level": str(price),
        "new_quantity": str(size),
    }


def _trade(one: Print) -> dict[str, str]:
    return {
        "trade_id": str(one.number),
        "product_id": one.symbol,
        "price": str(one.price),
        "size": str(one.size),
        "side": MAKER_SIDES[one.aggressor],
        "time": rfc3339(one.at_ns),
    }
