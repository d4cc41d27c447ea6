"""A rank that ceased to meet its condition between two waits, and meets it again, is news once."""

from collections.abc import Callable, Iterable, Iterator, Mapping

import pytest
import redis

from app.answers.reader import Reader
from app.core import clock
from app.core.settings import Settings
from app.storage.published import read_ranks
from app.waiting.condition import Condition, RankCondition
from app.waiting.fallen_ranks import MAX_SECONDS, with_pasts, without_fallen
from app.waiting.looks import LookReader
from app.waiting.questions import archive_wait, prepare_watch
from app.waiting.wait_answer import build_wait_answer
from app.waiting.watch import TickerCursor
from tests.simulated_ticks import SimulatedTicks

TICKER, WINDOW = "SPY", "10s"
WARM_SECONDS = 1220
MOST_SECONDS = 240

Shares = Mapping[str, float]


class Chain:
    """Waits of no time, each of which goes on behind the one before."""

    def __init__(self, settings: Settings, reader: Reader, condition: str) -> None:
        self._looks = LookReader.from_settings(settings)
        self._reader = reader
        self._condition = condition
        self._answer_id = ""

    def close(self) -> None:
        """Close the connections."""
        self._looks.close()

    def wait(self) -> list[str]:
        """Return the conditions on ranks that are newly met."""
        watch = prepare_watch(self._reader, [TICKER], self._condition, self._answer_id)
        [look] = self._looks.read({TICKER: 0.0}, watch.condition.windows).values()
        found = watch.take(look, clock.now_ms())
        answer = build_wait_answer(
            watch.condition,
            watch.tickers,
            watch.cursors,
            [found],
            now_ms=clock.now_ms(),
            waited_seconds=0,
        )
        sent = archive_wait(self._reader, watch, answer)
        self._answer_id = sent.structured_content["answer_id"]
        return [str(one.condition) for one in found.numbers]


@pytest.fixture
def warm(simulated: SimulatedTicks) -> SimulatedTicks:
    simulated.begin(TICKER)
    simulated.run(WARM_SECONDS)
    return simulated


def shares(client: redis.Redis) -> Shares:
    return read_ranks(client.hget(f"orderflow:metrics:{TICKER}:{WINDOW}", "ranks"))


def conditions_met_by(now: Shares) -> list[RankCondition]:
    """Return conditions that just hold, and conditions that hold by far."""
    names = [name for name, share in now.items() if 0.1 < share < 0.9][:3]
    just = [RankCondition(name, WINDOW, now[name]) for name in names]
    return [*just, *(RankCondition(name, WINDOW, 0.001) for name in names)]


def held(one: RankCondition, now: Shares) -> bool:
    return one.holds(now.get(one.metric))


@pytest.fixture
def chain_of(settings: Settings, reader: Reader) -> Iterator[Callable[[Iterable[object]], Chain]]:
    made: list[Chain] = []

    def make(conditions: Iterable[object]) -> Chain:
        made.append(Chain(settings, reader, " or ".join(map(str, conditions))))
        return made[-1]

    yield make
    for chain in made:
        chain.close()


def test_a_rank_that_fell_between_two_waits_and_meets_its_condition_again_is_told_once(
    warm: SimulatedTicks, chain_of: Callable[[Iterable[object]], Chain]
) -> None:
    conditions = conditions_met_by(shares(warm.client))
    chain = chain_of(conditions)
    assert sorted(chain.wait()) == sorted(map(str, conditions))

    fell: set[RankCondition] = set()
    for _ in range(MOST_SECONDS):
        warm.run(1)
        now = shares(warm.client)
        fell |= {one for one in conditions if not held(one, now)}
        again = {one for one in fell if held(one, now)}
        if len(again) > 1:
            break
    else:
        pytest.fail("no rank fell and rose")

    assert len(fell) < len(conditions)
    assert sorted(chain.wait()) == sorted(map(str, again))
    assert chain.wait() == []
    warm.run(1)
    after = shares(warm.client)
    assert {*chain.wait()} == {str(one) for one in conditions if held(one, after)} - {
        str(one) for one in conditions if held(one, now)
    }


@pytest.mark.parametrize("spoiled", ["not kept", "other definitions", "too long ago"])
def test_a_rank_of_which_the_time_between_is_not_known_is_not_told_again(
    warm: SimulatedTicks, reader: Reader, spoiled: str
) -> None:
    now = shares(warm.client)
    name = next(name for name, share in now.items() if share > 0.1)
    condition = Condition(ranks=(RankCondition(name, WINDOW, now[name]),))
    met = frozenset(map(str, condition.ranks))
    [cursor] = with_pasts(reader, condition, {TICKER: TickerCursor(warm.as_of, met)}).values()
    for _ in range(MOST_SECONDS):
        warm.run(1)
        if not held(condition.ranks[0], shares(warm.client)):
            break
    fallen = {TICKER: cursor._replace(met=frozenset())}
    assert without_fallen(reader, condition, {TICKER: cursor}) == fallen

    if spoiled == "too long ago":
        warm.run(MAX_SECONDS)
    else:
        packed = b"" if spoiled == "not kept" else cursor.past[:-1]
        cursor = cursor._replace(past=packed)

    assert without_fallen(reader, condition, {TICKER: cursor}) == {TICKER: cursor}
