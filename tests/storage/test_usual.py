"""Ranks and return periods in Redis: the same whoever ticks, crashes or writes twice."""

import json
from collections.abc import Callable, Iterable
from typing import Any

import pytest
import redis

from app.analysis.ranks import Ranks, unpack_ranks
from app.analysis.windows import WINDOWS
from app.core.settings import Settings
from app.storage.tick_store import TickStore
from tests.analysis.test_ranks import market
from tests.broker import publish
from tests.builders import quote, second
from tests.storage.test_tick_store import TICKER, published

pytestmark = pytest.mark.redis

STATE = f"orderflow:state:{TICKER}"
WARM = 1215
"""Seconds by which ranks are known."""


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """Keep the records of all of a test."""
    return settings.model_copy(update={"retention_seconds": 7200})


def folded_to(client: redis.Redis, settings: Settings, end: int) -> TickStore:
    """Fold the market up to a second, a backlog for the first ticks."""
    client.flushall()
    publish(client, TICKER, [r for r in market(7) if r.stamp <= second(end)])
    store = TickStore(settings)
    while int(client.hget(STATE, "as_of") or 0) < second(end):
        store.run_tick(TICKER, second(end))
    return store


def go_on(
    client: redis.Redis, stores: Callable[[int], TickStore], seconds: Iterable[int], times: int = 1
) -> dict[int, dict[str, Any]]:
    """Tick second by second, each record published some times."""
    seen: dict[int, dict[str, Any]] = {}
    for number in seconds:
        new = [r for r in market(7) if second(number - 1) < r.stamp <= second(number)]
        for _ in range(times):
            publish(client, TICKER, new)
        assert stores(number).run_tick(TICKER, second(number)).outcome == "written"
        seen[number] = published(client)
    return seen


def ranks_of(client: redis.Redis) -> Ranks:
    return unpack_ranks(client.hget(STATE, "ranks") or b"")


def past_of(ranks: Ranks) -> list[list[tuple[int, float]]]:
    """Return what was added up to the newest second, that one left out."""
    past = []
    for window in ranks.windows:
        for histogram in window.histograms:
            if histogram.gathered:
                histogram.is_waiting = False
                histogram.move_to(histogram.bin + 1)  # puts what was gathered into its cell
            past.append(list(zip(histogram.bins, histogram.weights, strict=True)))
    return past


def whole_state(client: redis.Redis) -> dict[bytes, bytes]:
    fields = {name: value for name, value in client.hgetall(STATE).items() if name != b"version"}
    assert fields[b"journal"] == b""
    return fields


def test_a_crash_between_any_two_ticks_changes_no_rank_and_no_byte(
    redis_client: redis.Redis, settings: Settings
) -> None:
    one = folded_to(redis_client, settings, WARM)
    calm = go_on(redis_client, lambda _: one, range(WARM + 1, WARM + 40))
    while redis_client.hget(STATE, "journal"):  # until the state is stored whole
        calm |= go_on(redis_client, lambda _: one, [max(calm) + 1])
    state = whole_state(redis_client)

    folded_to(redis_client, settings, WARM)
    shaken = go_on(redis_client, lambda _: TickStore(settings), sorted(calm))

    assert shaken == calm
    # Each worker stores the whole state when it takes over, in the end with the same bytes.
    assert ranks_of(redis_client).packed() == unpack_ranks(state[b"ranks"]).packed()
    known = json.loads(calm[WARM + 3]["10s"][b"ranks"])
    assert len(known) > 8
    assert calm[WARM + 3]["10s"][b"ranks_status"] == b"known"


def test_workers_that_replay_a_journal_sample_each_second_once(
    redis_client: redis.Redis, settings: Settings
) -> None:
    one = folded_to(redis_client, settings, WARM)
    calm = go_on(redis_client, lambda _: one, range(WARM + 1, WARM + 60))

    two = [folded_to(redis_client, settings, WARM)]

    def crashing(number: int) -> TickStore:
        if number % 7 == 0:
            two.append(TickStore(settings))
        return two[-1]

    assert go_on(redis_client, crashing, sorted(calm)) == calm
    assert len(two) > 6


def test_duplicates_change_no_rank(redis_client: redis.Redis, settings: Settings) -> None:
    one = folded_to(redis_client, settings, WARM)
    calm = go_on(redis_client, lambda _: one, range(WARM + 1, WARM + 12))
    two = folded_to(redis_client, settings, WARM)

    again = go_on(redis_client, lambda _: two, sorted(calm), times=2)

    assert [again[n][w][b"ranks"] for n in again for w in WINDOWS] == [
        calm[n][w][b"ranks"] for n in calm for w in WINDOWS
    ]


def test_late_records_change_the_sample_of_no_second_that_was_over(
    redis_client: redis.Redis, settings: Settings
) -> None:
    one = folded_to(redis_client, settings, WARM)
    go_on(redis_client, lambda _: one, [WARM + 1, WARM + 2])
    one = TickStore(settings)  # stores the whole state
    calm = go_on(redis_client, lambda _: one, [WARM + 3])
    over = past_of(ranks_of(redis_client))

    folded_to(redis_client, settings, WARM)
    go_on(redis_client, lambda _: TickStore(settings), [WARM + 1, WARM + 2])
    late = quote(at=WARM + 0.7, bid=17.0, ask=17.01, bid_size=5000, ask_size=5000, seq=10**6)
    publish(redis_client, TICKER, [late])
    seen = go_on(redis_client, lambda _: TickStore(settings), [WARM + 3])

    assert json.loads(seen[WARM + 3]["10s"][b"quality"])["late"] == 1
    assert seen[WARM + 3]["10s"][b"avg_bid_size"] != calm[WARM + 3]["10s"][b"avg_bid_size"]
    assert past_of(ranks_of(redis_client)) == over
