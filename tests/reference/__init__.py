"""Every number and event a second time: plain, slow definitions over the raw records.

Written from the contract and docs/patterns.md alone and sharing no code with the engine, so that
two independent readings of the same words can be compared.
"""

from collections.abc import Sequence
from functools import cached_property

from app.analysis.records import Quote, Trade
from tests.reference import behaviours, by_print, by_quote, by_second, by_visit
from tests.reference.levels import Shelf, published_at
from tests.reference.lives import Lives
from tests.reference.metrics import metrics, quality_counts
from tests.reference.past import ASK, BID, Past
from tests.reference.scales import Scales, Sizes
from tests.reference.usual import Ranked, return_period

DETECTORS = (
    by_print.sweeps,
    by_print.icebergs,
    by_print.absorptions,
    by_print.hidden_prints,
    by_visit.walls,
    by_visit.stackings,
    by_visit.suspected_absorptions,
    by_visit.suspected_refills,
    by_second.pullings,
    by_second.momentum_shifts,
    by_second.quote_bursts,
    by_second.trade_bursts,
    by_quote.spread_regimes,
    by_quote.price_gaps,
)


class Reference:
    """All that may be said of one ticker's records, in stream order and without duplicates."""

    def __init__(
        self,
        records: list[Quote | Trade],
        ticker: str = "TEST",
        gaps: Sequence[tuple[float, float]] = (),
    ) -> None:
        self.ticker = ticker
        self.past = Past(records, gaps)

    @cached_property
    def sizes(self) -> Sizes:
        """The samples of the scales that the metrics look at."""
        return Sizes(self.past)

    @cached_property
    def scales(self) -> Scales:
        """The samples of all scales."""
        return Scales(self.past, self.sizes)

    @cached_property
    def lives(self) -> list[Lives]:
        """What each detector found, from the first record to the last."""
        return [detect(self.past, self.scales) for detect in DETECTORS]

    @cached_property
    def shelves(self) -> tuple[Shelf, Shelf]:
        """Each side's published levels, second by second."""
        return Shelf(self.past, BID), Shelf(self.past, ASK)

    @cached_property
    def cusums(self) -> by_second.Sums:
        """S⁺ and S⁻ of the momentum shifts after each awake second."""
        return by_second.cusums(self.past, self.scales, Lives("momentum_shift"))

    def metrics(self, as_of_ms: int, window_seconds: int) -> dict[str, float | int | str]:
        """Return the known fields of contract section 3; behaviours, sweep and quality apart."""
        return metrics(self.past, self.sizes, as_of_ms, window_seconds)

    def quality_counts(self, as_of_ms: int, window_seconds: int) -> dict[str, int]:
        """How many quotes of the window were crossed, locked and one-sided."""
        return quality_counts(self.past, as_of_ms, window_seconds)

    def behaviors(self, as_of_ms: int) -> dict[str, str]:
        """`on`, `off` or `unknown: reason` by name, and the directions where there are some."""
        return behaviours.behaviors(self.past, self.scales, self.lives, self.cusums, as_of_ms)

    def events(self, until_ms: int, from_ms: int | None = None) -> list[dict[str, object]]:
        """Events noticed in [from_ms, until_ms], in their form at second `until_ms`."""
        forms = [
            event.form(until_ms, self.ticker)
            for lives in self.lives
            for event in lives.events
            if (from_ms is None or event.noticed_at >= from_ms) and event.noticed_at <= until_ms
        ]
        return sorted(forms, key=lambda form: (form["noticed_at"], form["opened_at"], form["id"]))

    def levels(self, until_ms: int) -> dict[str, list[dict[str, object]]]:
        """Return the published levels of both sides, most significant first."""
        bid, ask = self.shelves
        return {"bid": published_at(bid, until_ms), "ask": published_at(ask, until_ms)}

    @cached_property
    def ranked(self) -> Ranked:
        """The ranks of its windows' metrics."""
        return Ranked(self.past, self.metrics)

    def ranks(self, as_of_ms: int, window_seconds: int) -> dict[str, float]:
        """Return the known ranks of a window's metrics, contract section 9."""
        return self.ranked.ranks(as_of_ms, window_seconds)

    def return_periods(self, until_ms: int) -> dict[str, tuple[float, bool]]:
        """Return the known return periods, in minutes, of the events' final forms, by id."""
        found = {}
        for lives in self.lives:
            for event in lives.events:
                period = return_period(self.past, lives, event)
                if period is not None and event.noticed_at <= until_ms:
                    found[str(event.form(until_ms, self.ticker)["id"])] = period
        return found

    def scale(self, name: str, at_ms: float, q: float) -> float | None:
        """Return a quantile as sampled up to and with the last whole second by `at_ms`."""
        if name == "order_size":
            assert self.lives  # market orders are found, and sampled, by the sweeps
        return self.scales.named[name].through(at_ms, q)
