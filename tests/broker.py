"""A broker for tests: writes records in the form of the contract, and in forms it forbids."""

import json

import redis

from app.analysis.records import PRICE_UNITS, Quote, Trade

AGGRESSORS = {1: "buy", -1: "sell", 0: None}


def quote_member(quote: Quote) -> str:
    """Write a quote as a broker stores it."""
    fields = {
        "timestamp": quote.stamp,
        "bid_price": quote.bid_price / PRICE_UNITS,
        "bid_size": quote.bid_size,
        "ask_price": quote.ask_price / PRICE_UNITS,
        "ask_size": quote.ask_size,
        "seq": quote.seq,
    }
    return json.dumps(fields)


def trade_member(trade: Trade) -> str:
    """Write a trade as a broker stores it."""
    fields = {
        "timestamp": trade.stamp,
        "price": trade.price / PRICE_UNITS,
        "size": trade.size,
        "aggressor": AGGRESSORS[trade.aggressor],
        "seq": trade.seq,
    }
    return json.dumps(fields)


def publish(client: redis.Redis, ticker: str, records: list[Quote | Trade]) -> None:
    """Write records of a ticker."""
    pipe = client.pipeline(transaction=False)
    for record in records:
        if isinstance(record, Quote):
            pipe.zadd(f"orderflow:quotes:{ticker}", {quote_member(record): record.stamp})
        else:
            pipe.zadd(f"orderflow:trades:{ticker}", {trade_member(record): record.stamp})
    pipe.execute()
