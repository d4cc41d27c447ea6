"""Write the closed pattern events that an hour leaves, which a reader reads and leaves out."""

import json

import redis

from app.storage.keys import Keys
from app.storage.tick.codec import json_text

# A busy stock has some 300 events an hour; the weaker half is deleted after ten minutes.
EVENTS = 150
_EVERY_MS = 20_000
_NEWEST_AGE_MS = 6 * 60_000
_DURATION_MS = 6_000
# Ids contain no 0 and no 1.
_ID_LETTERS = str.maketrans("01", "ab")


def add_past_events(client: redis.Redis, ticker: str, now_ms: float) -> None:
    """Add events of the hour that closed before the default history."""
    stamps = [now_ms - _NEWEST_AGE_MS - index * _EVERY_MS for index in range(EVENTS)]
    members = {_member(ticker, index, at): at for index, at in enumerate(stamps)}
    client.zadd(Keys().patterns(ticker), members)


def add_open_event(client: redis.Redis, ticker: str, now_ms: float) -> None:
    """Add an event that was just noticed."""
    opened_at = now_ms - 2000
    event = json.loads(_member(ticker, EVENTS, opened_at))
    event |= {"status": "open", "updated_at": now_ms, "closed_at": None, "close_reason": None}
    client.zadd(Keys().patterns(ticker), {json_text(event): opened_at})


def _member(ticker: str, index: int, opened_at: float) -> str:
    name = f"{index:08o}".translate(_ID_LETTERS)
    return json_text(
        {
            "id": f"{ticker}~{name}",
            "type": "pulling",
            "side": "ask",
            "status": "closed",
            "opened_at": opened_at,
            "noticed_at": opened_at + 1000,
            "updated_at": opened_at + _DURATION_MS + 5000,
            "closed_at": opened_at + _DURATION_MS,
            "close_reason": "elapsed",
            "price_low": 99.95,
            "price_high": 99.95,
            "strength": 0.75,
            "evidence_class": "A",
            "statistic": 1.2177730126605946,
            "threshold": 1.0,
            "evidence": {
                "removed_shares": 1600.0,
                "traded_shares": 0.0,
                "displayed_shares": 600.0,
                "cause": "cancelled",
            },
        }
    )
