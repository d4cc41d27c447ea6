"""Write the project's keys as a broker and a tick would, in the form of the contract."""

import json

import redis

from app.analysis.bars import Bar
from app.analysis.windows import WINDOWS
from app.core.clock import now_ms
from app.storage.tick.codec import encode_bar, join_bars

EVENT = {
    "id": "SPY~k3f9x2ab",
    "type": "absorption",
    "side": "bid",
    "status": "open",
    "close_reason": None,
    "price_low": 585.30,
    "price_high": 585.31,
    "strength": 0.93,
    "evidence_class": "A",
    "statistic": 2.1,
    "threshold": 1.5,
    "evidence": {"flow_shares": -3400, "level_share": 0.62},
}
METRICS = {
    "quote_count": 3690,
    "quotes_per_second": 12.3,
    "bid_price": 585.33,
    "bid_size": 18.0,
    "ask_price": 585.94,
    "ask_size": 200.0,
    "bid_price_movement": 0.12,
    "ask_price_movement": -0.05,
    "net_bid_size_change": 5.0,
    "net_ask_size_change": -20.0,
    "bid_lift_count": 12,
    "bid_drop_count": 9,
    "ask_lift_count": 8,
    "ask_drop_count": 7,
    "avg_bid_size": 102.33333333,
    "avg_ask_size": 93.1,
    "large_bids_appeared": 3,
    "large_asks_appeared": 4,
    "large_bid_size": 600.0,
    "large_ask_size": 400.0,
    "bid_size_acceleration": "STABLE",
    "ask_size_acceleration": "INCREASING",
    "avg_spread": 0.051234567,
    "min_spread": 0.01,
    "max_spread": 0.12,
    "spread_bps": 1.23456789,
    "spread_ticks": 5.0,
    "spread_trend": "TIGHTENING",
    "queue_imbalance": 0.1234,
    "weighted_mid": 585.40366972,
    "ofi": 1234.0,
    "log_ofi": 12.345678901,
    "realized_volatility_bps": 3.4,
    "price_velocity": 0.00000123,
    "size_turnover": 1234.5,
    "trade_count": 120,
    "buy_volume": 3400.0,
    "sell_volume": 2900.0,
    "unsigned_volume": 100.0,
    "signed_volume": 500.0,
    "trade_imbalance": 0.0793651,
    "vwap": 585.41,
    "effective_spread_bps": 2.1,
    "inside_volume": 300.0,
}
BEHAVIORS = {
    "bid_stacking": "on",
    "ask_stacking": "off",
    "bid_pulling": "off",
    "ask_pulling": "off",
    "spread_tightening": "off",
    "momentum_building": "unknown: warming, 12 of 200 samples",
    "aggressive_buying": "off",
    "aggressive_selling": "off",
    "quote_pressure": "on",
    "quote_pressure_direction": "up",
}


class KeyWriter:
    """Writes records, published keys and heartbeats of tickers, all as of one moment."""

    def __init__(self, client: redis.Redis) -> None:
        self._redis = client
        self.now = now_ms()
        self.as_of = int(self.now // 1000 * 1000)
        self._quote_at: dict[str, float] = {}

    def quote(self, ticker: str = "SPY", *, age_seconds: float = 0.5) -> None:
        """Add a quote as a broker does."""
        stamp = self.now - age_seconds * 1000
        quote = {"bid_price": 585.33, "bid_size": 18, "ask_price": 585.94, "ask_size": 200}
        self._redis.zadd(
            f"orderflow:quotes:{ticker}", {json.dumps(quote | {"timestamp": stamp}): stamp}
        )
        self._quote_at[ticker] = stamp

    def refused_quotes(
        self, ticker: str = "SPY", *, count: int = 1, age_seconds: float = 0.1
    ) -> None:
        """Add quotes that can't be used, all at one time, as a broker does."""
        stamp = self.now - age_seconds * 1000
        members = (json.dumps({"bid_price": None, "bid_size": 1, "n": n}) for n in range(count))
        self._redis.zadd(f"orderflow:quotes:{ticker}", dict.fromkeys(members, stamp))

    def clear_quotes(self, ticker: str = "SPY") -> None:
        """Delete a ticker's quotes, as if none had ever been written."""
        self._redis.delete(f"orderflow:quotes:{ticker}")
        self._redis.hdel(f"orderflow:state:{ticker}", "quote_at")
        self._quote_at.pop(ticker, None)

    def clear_trades(self, ticker: str = "SPY") -> None:
        """Delete a ticker's trades."""
        self._redis.delete(f"orderflow:trades:{ticker}")

    def trade(self, ticker: str = "SPY", *, aggressor: str | None = "buy") -> None:
        """Add a trade as a broker does."""
        trade = {"timestamp": self.now, "price": 585.94, "size": 100, "aggressor": aggressor}
        self._redis.zadd(f"orderflow:trades:{ticker}", {json.dumps(trade): self.now})

    def heartbeat(self, *, fanout_age_seconds: float = 1, tick_age_seconds: float = 1) -> None:
        """Write when fan-out and ticks last ran."""
        seen = {
            "fanout": self.now - fanout_age_seconds * 1000,
            "tick": self.now - tick_age_seconds * 1000,
        }
        self._redis.hset("orderflow:pulse", mapping=seen)

    def discovered(self, *tickers: str) -> None:
        """Write that discovery has found tickers."""
        self._redis.zadd("orderflow:tickers", dict.fromkeys(tickers, self.now))

    def failures(self, ticker: str = "SPY", *, error: str = "ValueError") -> None:
        """Write that seven ticks have failed."""
        fields = {"count": 7, "as_of": self.as_of, "error": error}
        self._redis.hset(f"orderflow:failures:{ticker}", mapping=fields)

    def tick(
        self,
        ticker: str = "SPY",
        *,
        age_seconds: int = 0,
        quality: object = None,
        **changed: object,
    ) -> int:
        """Write the metrics of all windows; a changed metric of None is absent."""
        as_of = self.as_of - age_seconds * 1000
        for window, seconds in WINDOWS.items():
            fields = {"as_of": as_of, "covered_seconds": float(seconds)} | METRICS | changed
            known = {name: value for name, value in fields.items() if value is not None}
            known |= {"behaviors": json.dumps(BEHAVIORS), "quality": json.dumps(quality or {})}
            self._redis.hset(
                f"orderflow:metrics:{ticker}:{window}", mapping=known | {"engine": "1"}
            )
        self._redis.hset(f"orderflow:state:{ticker}", mapping={"as_of": as_of, "version": 1})
        if ticker in self._quote_at:
            self._redis.hset(f"orderflow:state:{ticker}", "quote_at", self._quote_at[ticker])
        return as_of

    def rejected(
        self,
        ticker: str = "SPY",
        *,
        since_age_seconds: float = 15,
        kind: str = "quotes",
        **reasons: int,
    ) -> None:
        """Write into the state that a tick rejected records, newer than any usable one."""
        since, count = self.now - since_age_seconds * 1000, sum(reasons.values())
        name = f"orderflow:state:{ticker}"
        told = json.loads(self._redis.hget(name, "rejected") or "{}")
        told[kind] = {"since": since, "count": count, "reasons": reasons}
        self._redis.hset(name, "rejected", json.dumps(told))
        self._redis.hset(name, "as_of", self.as_of)

    def event(
        self, ticker: str = "SPY", *, opened_age_seconds: float = 31, **changed: object
    ) -> None:
        """Write an event."""
        opened = self.now - opened_age_seconds * 1000
        times = {"opened_at": opened, "noticed_at": opened, "updated_at": opened, "closed_at": None}
        event = EVENT | times | changed
        self._redis.zadd(f"orderflow:patterns:{ticker}", {json.dumps(event): opened})

    def level(
        self, ticker: str = "SPY", *, side: str = "bid", price: float = 585.3, size: float = 210
    ) -> None:
        """Write a level that was the best twelve times."""
        level = {
            "price": price,
            "side": side,
            "appearances": 12,
            "size": size,
            "first_seen": self.now - 60_000,
            "last_seen": self.now - 3000,
            "held": 5,
            "broke": 3,
        }
        self._redis.zadd(f"orderflow:levels:{ticker}:{side}", {json.dumps(level): size * 12})

    def bars(self, bars: list[Bar], ticker: str = "SPY", *, recent: int = 0) -> None:
        """Write bars to the stream, and the newest `recent` of them into the state."""
        sealed = bars[: len(bars) - recent]
        for bar in sealed:
            self._redis.xadd(f"orderflow:bars:{ticker}", {"b": encode_bar(bar)}, id=f"{bar.end}-0")
        unsealed = join_bars(map(encode_bar, bars[len(sealed) :]))
        self._redis.hset(f"orderflow:state:{ticker}", "recent", unsealed)

    def healthy_ticker(self) -> None:
        """Write all keys of a healthy ticker."""
        self.quote()
        self.trade()
        self.heartbeat()
        self.discovered("SPY")
        self.tick(quality={"late": 3, "rejected": {"not_json": 2}})
        self.event()
        self.event(
            id="SPY~zzzzzzz2",
            type="sweep",
            side="ask",
            status="closed",
            opened_age_seconds=12,
            closed_at=self.now - 11_000,
            close_reason="elapsed",
            strength=None,
        )
        self.level()
        self.level(side="ask", price=586.0)
