"""Answers of the engine, folded second by second, in the form of the plain definitions' answers."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from app.analysis.bars import SECOND_MS
from app.analysis.engine import Engine
from app.analysis.records import Batch, Quote, Span, Trade
from app.analysis.results import TickResult
from app.analysis.windows import WINDOWS
from tests.reference.past import ceil_second

Records = list[Quote | Trade]
Fields = dict[str, Any]

NOT_METRICS = {"behaviors", "last_sweep", "quality", "engine"}
EVENT_FIELDS = [
    "id",
    "type",
    "side",
    "status",
    "opened_at",
    "noticed_at",
    "updated_at",
    "closed_at",
    "close_reason",
    "price_low",
    "price_high",
    "strength",
    "evidence_class",
    "statistic",
    "threshold",
    "evidence",
]
LEVEL_FIELDS = ["price", "side", "appearances", "size", "first_seen", "last_seen", "held", "broke"]
SIDES = ("bid", "ask")
WINDOW_NAMES = {seconds: name for name, seconds in WINDOWS.items()}


def fold(
    records: Records, ends: Iterable[int], ticker: str = "TEST", gaps: Sequence[Span] = ()
) -> Iterator[TickResult]:
    """Advance one engine to each end with the records, and declared gaps, up to it."""
    engine = Engine.new(ticker)
    done = last_end = 0
    for end in ends:
        upto = done
        while upto < len(records) and records[upto].stamp <= end:
            upto += 1
        declared = [gap for gap in gaps if last_end < gap[1] <= end]
        yield engine.advance(Batch(records[done:upto], [], gaps=declared), end)
        done, last_end = upto, end


def metrics_of(result: TickResult, window: str) -> Fields:
    """Return the numbers and trends of a window."""
    return {n: value for n, value in result.metrics[window].items() if n not in NOT_METRICS}


class PublishedSoFar:
    """The newest form of each event and the levels in force, after some ticks."""

    def __init__(self) -> None:
        self.events: dict[str, Fields] = {}
        self.levels: dict[str, list[Fields]] = {"bid": [], "ask": []}

    def add(self, result: TickResult) -> None:
        """Take what one tick changed."""
        for event in result.changed_events:
            self.events[event.id] = {name: getattr(event, name) for name in EVENT_FIELDS}
        for side, levels in zip(SIDES, result.levels, strict=True):
            if levels is not None:
                forms = [{name: getattr(one, name) for name in LEVEL_FIELDS} for one in levels]
                self.levels[side] = forms


@dataclass(frozen=True)
class _Second:
    """What was published as of a whole second."""

    result: TickResult
    events: list[Fields]
    levels: dict[str, list[Fields]]


class EngineAnswers:
    """The engine's answers about one ticker's records; the methods are those of `Reference`."""

    def __init__(self, records: Records, ticker: str = "TEST") -> None:
        self._first = ceil_second(records[0].stamp)
        self._seconds: list[_Second] = []
        self._published = PublishedSoFar()
        self._results = fold(records, self._ends(), ticker)

    def metrics(self, as_of_ms: int, window_seconds: int) -> Fields:
        """Return the known metrics of a window."""
        return metrics_of(self._at(as_of_ms).result, WINDOW_NAMES[window_seconds])

    def quality_counts(self, as_of_ms: int, window_seconds: int) -> dict[str, int]:
        """Return how many quotes of the window were crossed, locked and one-sided."""
        counted = self._at(as_of_ms).result.quality[WINDOW_NAMES[window_seconds]]
        return {name: counted.get(name, 0) for name in ("crossed", "locked", "one_sided")}  # type: ignore[misc]

    def behaviors(self, as_of_ms: int) -> dict[str, str]:
        """Return `on`, `off` or `unknown: reason` by name, and directions."""
        return self._at(as_of_ms).result.behaviors

    def events(self, until_ms: int) -> list[Fields]:
        """Return the events noticed up to an instant, in their form as of it."""
        return self._at(until_ms).events

    def levels(self, until_ms: int) -> dict[str, list[Fields]]:
        """Return the published levels of both sides, most significant first."""
        return self._at(until_ms).levels

    def _ends(self) -> Iterator[int]:
        end = self._first
        while True:
            yield end
            end += SECOND_MS

    def _at(self, as_of_ms: int) -> _Second:
        number = (as_of_ms - self._first) // SECOND_MS
        while len(self._seconds) <= number:
            result = next(self._results)
            self._published.add(result)
            order = sorted(
                self._published.events.values(),
                key=lambda form: (form["noticed_at"], form["opened_at"], form["id"]),
            )
            self._seconds.append(_Second(result, order, dict(self._published.levels)))
        return self._seconds[number]
