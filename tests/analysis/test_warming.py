"""On a real stock all scales have their numbers soon."""

from dataclasses import fields

import pytest

from app.analysis.bars import SECOND_MS
from app.analysis.baselines import MIN_DRIFT_SAMPLES, MIN_IMPACT_SAMPLES, Baselines
from app.analysis.engine import Engine
from app.analysis.quantiles import DecayedHistogram, DecayedRatio
from app.analysis.records import Batch
from tests.tapes import FOLDER, records_of

AAPL = "AAPL_2012-06-21"
MINUTE_MS = 60_000


def scales_of(usual: Baselines) -> list[DecayedHistogram]:
    members = [getattr(usual, member.name) for member in fields(usual)]
    return [*usual.sizes, *(scale for scale in members if isinstance(scale, DecayedHistogram))]


def warming(usual: Baselines) -> list[DecayedHistogram | DecayedRatio]:
    """Return the scales that can't tell one of their quantiles."""
    cold: list[DecayedHistogram | DecayedRatio] = [
        scale
        for scale in scales_of(usual)
        if any(scale.quantile(place) is None for place in range(len(scale.quantiles)))
    ]
    for mean, needed in ((usual.impact, MIN_IMPACT_SAMPLES), (usual.drift, MIN_DRIFT_SAMPLES)):
        if mean.ratio(needed) is None:
            cold.append(mean)
    return cold


@pytest.mark.skipif(not (FOLDER / f"{AAPL}.quotes.csv.gz").exists(), reason="tape is absent")
def test_no_scale_of_a_busy_stock_is_warming_after_twenty_minutes() -> None:
    records = records_of(AAPL)
    first = records[0].stamp
    records = [record for record in records if record.stamp <= first + 20 * MINUTE_MS]
    engine = Engine.new("AAPL")
    start = int(first // SECOND_MS) * SECOND_MS

    engine.advance(Batch(list(records[:1]), []), start + SECOND_MS)
    at_first = warming(engine.state.context.baselines)
    engine.advance(Batch(list(records[1:]), []), start + 20 * MINUTE_MS)

    assert len(at_first) > 10
    assert not warming(engine.state.context.baselines)
