"""A state stored by earlier code goes on as if nothing had happened.

Each file was made with the code of a commit from 15 simulated minutes: the packed parts of a state,
its bars, the records of the next 90 s, and what the former engine, which had folded all of it, said
of them. `former_state.bin` is from before classes and fields were renamed (c8998f7),
`state_of_77c23c1.bin` from before tickers had price units of their own.
"""

import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import pytest

from app.analysis.bars import SECOND_MS
from app.analysis.engine import Engine
from app.analysis.records import Batch, Quote, Record, Trade
from app.analysis.rolling_bars import RollingBars
from app.analysis.windows import WINDOW_SECONDS
from app.storage.tick import codec
from app.storage.tick.codec import PackedState

FOLDER = Path(__file__).parent


@pytest.fixture(scope="module", params=["former_state.bin", "state_of_77c23c1.bin"])
def former(request: pytest.FixtureRequest) -> Any:
    return msgspec.msgpack.decode(zlib.decompress((FOLDER / request.param).read_bytes()))


def engine_of(former: Mapping[str, Any]) -> Engine:
    """Take a stored ticker over as a worker does."""
    parts = PackedState(former["blob"], former["candidates"], former["levels"])
    state = codec.decode_state(parts)
    bars = [codec.decode_bar(bar) for bar in former["bars"]]
    state.recent = bars[-former["recent"] :]
    table = RollingBars.from_bars(bars, max(WINDOW_SECONDS), spans=WINDOW_SECONDS)
    table.first_quote = state.first_quote
    return Engine(state, table)


def records_of(second: list[Any]) -> list[Record]:
    return [Quote(*it) if is_quote else Trade(*it) for is_quote, *it in second]


def test_it_goes_on_to_the_same_metrics_events_and_levels(former: Any) -> None:
    engine = engine_of(former)
    expected = {said["as_of"]: said for said in former["results"]}
    events: dict[str, dict[str, object]] = {}

    as_of = former["as_of"]
    for second in former["records"]:
        as_of += SECOND_MS
        found = engine.advance(Batch(records_of(second), []), as_of)
        events |= {event.id: codec.published_event(event) for event in found.changed_events}
        said = expected.pop(as_of, None)
        if said is not None:
            for window, metrics in said["metrics"].items():
                # A metric that is new since then is none of its own.
                assert {name: found.metrics[window][name] for name in metrics} == metrics
            assert found.behaviors == said["behaviors"]
            assert found.quality == said["quality"]

    assert not expected
    assert list(events.values()) == former["events"]
    levels = [[codec.level_json(it) for it in side.top()] for side in engine.state.levels]
    assert levels == former["final_levels"]


def test_it_is_stored_anew_in_the_present_form(former: Any) -> None:
    engine = engine_of(former)

    packed = codec.encode_state(engine.state)

    assert packed.blob[:4] != former["blob"][:4]
    again = codec.decode_state(packed)
    assert codec.encode_state(again).blob == packed.blob


def test_its_detectors_stand_in_the_present_order(former: Any) -> None:
    now = [type(detector) for detector in Engine.new("SPY").state.detectors]

    assert [type(detector) for detector in engine_of(former).state.detectors] == now


def test_its_prices_are_of_the_coarsest_unit_and_can_become_finer(former: Any) -> None:
    engine = engine_of(former)
    assert (engine.state.digits, engine.table.digits) == (8, 8)
    as_of = former["as_of"] + SECOND_MS
    [first, *_] = records_of(former["records"][0])

    finer = Trade(first.stamp, 10**9, 148_2700000005, 1.0, 1)
    found = engine.advance(Batch([finer], [], 10), as_of)

    assert (engine.state.digits, engine.table.digits) == (10, 10)
    assert found.failed_detectors == {}
    said = former["results"][0]["metrics"]["5min"]
    assert found.metrics["5min"]["large_bid_size"] == pytest.approx(said["large_bid_size"], rel=0.1)
    assert found.metrics["5min"]["min_spread"] == said["min_spread"]
    again = codec.decode_state(codec.encode_state(engine.state))
    assert {level.price for level in again.levels[0].levels} == {
        level.price for level in engine.state.levels[0].levels
    }
