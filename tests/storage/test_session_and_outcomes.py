"""A ticker's session and outcomes in Redis are what an undisturbed engine says."""

from collections.abc import Callable, Iterable
from typing import Any

import pytest
import redis

from app.analysis.engine import Engine
from app.analysis.records import Batch, Quote, Trade
from app.core.settings import Settings
from app.storage import keys
from app.storage.session_calendars import hours_of
from app.storage.tick import codec
from app.storage.tick_store import TickStore
from tests.broker import publish
from tests.strategies import Flavour

TICKER = "BTC/USD"
SESSION, OUTCOMES = f"orderflow:session:{TICKER}", f"orderflow:outcomes:{TICKER}"
Records = list[Quote | Trade]
Fields = dict[str, str]


def long_feed(seed: int) -> Records:
    """Return some forty minutes of records, with silences that no ticker sleeps through."""
    return Flavour(seed, 1600, 0.3, 1.0, 0.05, 0.0, 3.0, 0.4).stream()


def ends_of(records: Records, step: int) -> list[int]:
    first = -(-int(records[0].stamp) // 1000) * 1000
    last = -(-int(records[-1].stamp) // 1000) * 1000 + 12_000
    return list(range(first, last, step * 1000))


def texts(fields: dict[bytes, bytes]) -> Fields:
    return {name.decode(): text.decode() for name, text in fields.items()}


class Undisturbed:
    """What one engine says at each second, without Redis."""

    def __init__(self, records: Records, ticker: str = TICKER) -> None:
        self.sessions: dict[str, Fields] = {}
        self.outcomes: dict[str, Fields] = {}
        engine = Engine.new(ticker, hours_of(ticker, ()))
        done = 0
        for end in ends_of(records, 1):
            upto = done
            while upto < len(records) and records[upto].stamp <= end:
                upto += 1
            engine.advance(Batch(records[done:upto], []), end)
            done = upto
            self.sessions[str(end)] = dict(zip(*codec.session_texts(engine.state), strict=True))
            totals = engine.state.outcomes.totals
            for horizon, until in enumerate(totals.until):
                if until:
                    fields = codec.outcome_fields(totals, horizon)
                    self.outcomes[f"{horizon} {until}"] = fields

    def check(self, client: redis.Redis) -> None:
        """Check that Redis holds a session, and outcomes, that were once said."""
        session, outcomes = texts(client.hgetall(SESSION)), texts(client.hgetall(OUTCOMES))
        said: Fields = {}
        for horizon, seconds in enumerate((10, 60, 300)):
            until = outcomes.get(f"until:{seconds}")
            if until is not None:
                said |= self.outcomes[f"{horizon} {until}"]
        assert session == self.sessions[session["as_of"]]
        assert outcomes == said


def run(
    client: redis.Redis, records: Records, ends: Iterable[int], store: Callable[[int], TickStore]
) -> Iterable[int]:
    """Feed and tick, and yield the end of each tick."""
    done = 0
    for number, end in enumerate(ends):
        upto = done
        while upto < len(records) and records[upto].stamp <= end:
            upto += 1
        publish(client, TICKER, records[done:upto])
        done = upto
        # The first second's records may be stamped after its tick.
        if store(number).run_tick(TICKER, end).outcome != "idle":
            yield end


@pytest.mark.parametrize("step", [1, 7])
def test_they_are_written_soon_and_are_what_the_engine_says(
    redis_client: redis.Redis, settings: Settings, step: int
) -> None:
    records = long_feed(1)[:900]
    undisturbed, store = Undisturbed(records), TickStore(settings)
    for end in run(redis_client, records, ends_of(records, step), lambda _: store):
        undisturbed.check(redis_client)
        assert end - int(redis_client.hget(SESSION, "as_of") or 0) < max(5000, step * 1000)
    untils = [int(redis_client.hget(OUTCOMES, f"until:{h}") or 0) for h in (10, 60, 300)]
    for horizon, until in zip((10, 60, 300), untils, strict=True):
        assert until + horizon * 1000 + 300_000 + 20_000 > end
    assert redis_client.ttl(SESSION) > keys.SESSION_LIFETIME_SECONDS - 60
    assert redis_client.ttl(OUTCOMES) > keys.OUTCOMES_LIFETIME_SECONDS - 600


@pytest.mark.parametrize("seed", [2, 3])
def test_workers_that_take_over_write_the_same(
    redis_client: redis.Redis, settings: Settings, seed: int
) -> None:
    records = long_feed(seed)
    undisturbed = Undisturbed(records)
    workers = [TickStore(settings), TickStore(settings)]

    def worker(number: int) -> TickStore:
        return TickStore(settings) if number % 11 == 0 else workers[number % 2]

    for _ in run(redis_client, records, ends_of(records, 5), worker):
        undisturbed.check(redis_client)
    assert len(redis_client.hgetall(OUTCOMES)) > 20


def test_late_records_change_neither(redis_client: redis.Redis, settings: Settings) -> None:
    records = long_feed(4)[:500]
    late, in_time = records[40::40], [r for n, r in enumerate(records) if n < 40 or n % 40]
    undisturbed, store = Undisturbed(in_time), TickStore(settings)
    waiting = list(late)
    for end in run(redis_client, in_time, ends_of(in_time, 1), lambda _: store):
        undisturbed.check(redis_client)
        arrived = [record for record in waiting if record.stamp <= end - 500]
        publish(redis_client, TICKER, arrived)
        waiting = waiting[len(arrived) :]


@pytest.mark.parametrize("key", [SESSION, OUTCOMES])
def test_a_key_of_another_type_is_set_aside(
    redis_client: redis.Redis, settings: Settings, key: str
) -> None:
    records = long_feed(5)[:700]
    redis_client.set(key, "not ours")
    undisturbed, store = Undisturbed(records), TickStore(settings)

    list(run(redis_client, records, ends_of(records, 5), lambda _: store))

    undisturbed.check(redis_client)
    assert redis_client.type(key) == b"hash"
    assert redis_client.get(keys.quarantined(key)) == b"not ours"


def test_what_a_former_state_left_is_gone(redis_client: redis.Redis, settings: Settings) -> None:
    records = long_feed(6)[:200]
    redis_client.hset(OUTCOMES, "wall:bid:10", '{"n":77,"blocks":3,"insufficient":true}')
    redis_client.hset(SESSION, "poc", "1.5")
    store = TickStore(settings)

    list(run(redis_client, records, ends_of(records, 1), lambda _: store))

    assert redis_client.hget(OUTCOMES, "wall:bid:10") is None
    assert texts(redis_client.hgetall(SESSION)).get("poc") != "1.5"


@pytest.mark.parametrize(
    ("given", "ticker", "calendar"),
    [("", "BTC/USD", "24/7"), ("", "SPY", "XNYS"), ("BTC*=CMES", "BTC/USD", "CMES")],
)
def test_each_ticker_has_its_calendar(
    redis_client: redis.Redis, settings: Settings, given: str, ticker: str, calendar: str
) -> None:
    records = long_feed(1)[:50]
    store = TickStore(settings.model_copy(update={"calendars_given": given}))
    publish(redis_client, ticker, records)
    store.run_tick(ticker, ends_of(records, 1)[-1])

    said: dict[bytes, Any] = redis_client.hgetall(f"orderflow:session:{ticker}")

    assert said[b"calendar"].decode() == calendar
    assert int(said[b"closes_at"]) > int(said[b"opened_at"])


DAY_MS = 86_400_000


def test_a_session_that_ended_is_kept_as_of_its_end(
    redis_client: redis.Redis, settings: Settings
) -> None:
    midnight = 1_700_006_400_000
    records = [
        Quote(midnight - 90_000.0, 1, 100 * 10**8, 5.0, 101 * 10**8, 5.0),
        Trade(midnight - 400.0, 2, 101 * 10**8, 3.0, 1),
        Quote(midnight + 300.0, 3, 100 * 10**8, 6.0, 101 * 10**8, 5.0),
    ]
    engine = Engine.new(TICKER, hours_of(TICKER, ()))
    engine.advance(Batch(records[:2], []), midnight)
    store = TickStore(settings)
    for end in range(midnight - 90_000, midnight + 10_000, 1000):
        due = [it for it in records if end - 1000 < it.stamp <= end]
        publish(redis_client, TICKER, due)
        store.run_tick(TICKER, end)

    ended = texts(redis_client.hgetall(f"orderflow:ended:{TICKER}"))

    assert (ended["closes_at"], ended["as_of"], ended["volume"]) == (
        str(midnight),
        str(midnight),
        "3.0",
    )
    assert int(ended["opened_at"]) == midnight - DAY_MS
    assert float(ended["covered_seconds"]) == 90.0
    assert redis_client.hget(SESSION, "opened_at") == str(midnight).encode()
    assert redis_client.ttl(f"orderflow:ended:{TICKER}") > keys.ENDED_LIFETIME_SECONDS - 60
