"""Run the simulation: records and labels from a ticker, a seed and a start."""

from collections.abc import Iterator
from random import Random

from app.analysis.records import Record
from app.feeds.simulation.actors import BackgroundFlow
from app.feeds.simulation.market import Label, Market
from app.feeds.simulation.plants import planted_patterns
from app.feeds.simulation.profiles import Profile


def simulate(
    ticker: str, seed: int, start_ms: int, seconds: int | None, profile: Profile
) -> Iterator[tuple[list[Record], list[Label]]]:
    """Yield each second's records, in stream order, and the labels that ended in it.

    The same arguments give the same records; without `seconds` it is endless.
    """
    rng = Random(f"{ticker}/{seed}")  # noqa: S311 - a market, no secret
    market = _start(Market(profile, rng, start_ms))
    second = 0
    while seconds is None or second < seconds:
        second += 1
        market.run_until(1000.0 * second)
        labels, market.labels = market.labels, []
        yield market.recorder.take_records(), labels


def _start(market: Market) -> Market:
    flow = BackgroundFlow(market)
    flow.fill_book()
    market.recorder.is_recording = True
    for process in (
        flow.vary_activity(),
        flow.start_bursts(),
        market.sample_touch_sizes(),
        planted_patterns(market),
    ):
        market.run_process(process)
    return market
