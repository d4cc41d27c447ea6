"""Stored state is written in parts, those that changed; together they are always the whole."""

import random

import pytest

from app.analysis.engine import SLEEP_AFTER_SECONDS, Engine
from app.analysis.levels import LEVEL_LIFETIME_MS, MAX_LEVELS
from app.analysis.records import Batch
from app.storage.tick import codec
from app.storage.tick.state_packing import pack
from tests.builders import quote, second, stream

PRICES = 100
SECONDS = 200


def roaming(seed: int) -> list[Batch]:
    """Make seconds of a book whose bid and ask visit more prices than a side keeps."""
    draw = random.Random(seed)  # noqa: S311 - a test's, not a secret's
    batches = []
    for end in range(1, SECONDS + 1):
        prices = [draw.randrange(PRICES) / 100 for _ in range(draw.randrange(4))]
        quotes = [
            quote(at=end - 1 + (place + 1) / 10, bid=100 + price, ask=102 + price)
            for place, price in enumerate(prices)
        ]
        batches.append(Batch(stream(*quotes), []))
    return batches


def whole(engine: Engine) -> list[dict[int, bytes]]:
    return [{level.price: pack(level) for level in side.levels} for side in engine.state.levels]


@pytest.mark.parametrize("every", [1, 9])
def test_what_changed_since_it_was_stored_adds_up_to_all_levels(every: int) -> None:
    engine = Engine.new("SPY")
    levels: dict[str, bytes] = {}
    had_dropped = False

    for end, batch in enumerate(roaming(3), 1):
        engine.advance(batch, second(end))
        if end % every:
            continue
        parts = codec.encode_state(engine.state, changed_only=end > every)
        levels.update(parts.levels)
        for name in parts.gone:
            del levels[name]
        had_dropped |= bool(parts.gone)
        stored = Engine(codec.decode_state(parts._replace(levels=levels)), engine.table)
        assert whole(stored) == whole(engine)
        for theirs, ours in zip(stored.state.levels, engine.state.levels, strict=True):
            assert theirs.top() == ours.top()

    assert had_dropped
    assert max(map(len, whole(engine))) == MAX_LEVELS


def test_levels_that_are_gone_after_a_long_silence_go_from_the_stored_parts_too() -> None:
    engine = Engine.new("SPY")
    engine.advance(Batch(stream(quote(at=0.5, bid=10, ask=11)), []), second(1))
    first = codec.encode_state(engine.state)
    later = SLEEP_AFTER_SECONDS + LEVEL_LIFETIME_MS // 1000 + 2
    engine.advance(Batch(stream(quote(at=later - 0.5, bid=20, ask=21)), []), second(later))

    parts = codec.encode_state(engine.state, changed_only=True)

    assert set(parts.gone) == set(first.levels)
