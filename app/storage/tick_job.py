"""A tick while it runs, and what a worker keeps of a warm ticker from tick to tick."""

from collections.abc import Callable

import msgspec

from app.analysis.engine import Engine
from app.storage import tick_connection
from app.storage.tick.arrival_lag import ArrivalLag
from app.storage.tick.fold import TickReport
from app.storage.tick.journal import Journal
from app.storage.tick.read import KeyCheck, PlainReads
from app.storage.tick.write import PublishedKeys

ReportCallback = Callable[[TickReport, Exception | None], None]
"""Called with a tick's report, and redis-py's error if one ended the tick."""


class TickJob(msgspec.Struct):
    """One tick: its connection, the ticker's keys, and the callback for its report.

    `clock_as_of` is the tick's time; it folds up to `as_of`, which is earlier by the settle time of
    a ticker whose feed is behind. `outcome` is that of a tick which gets no engine.
    """

    ticker: str
    clock_as_of: int
    connection: tick_connection.TickConnection
    names: list[str]
    report_to: ReportCallback
    as_of: int = 0
    outcome: str = "overtaken"


class WarmTicker(msgspec.Struct):
    """A ticker's engine as of a version of its stored state, and what its keys publish.

    `ticked_at` is the time of the tick that wrote the version, by its clock: `as_of` is earlier
    where the feed is behind.
    Until `possible_loss_until` (ms) another process may still report that earlier data were lost.
    `journal` is None if this worker did not write the stored state. `corrected_at` is when ticks
    ahead were last taken back, 0 if never. `gap_count` is the number of declared gaps, all of which
    the engine has seen.
    """

    version: str
    engine: Engine
    published: PublishedKeys
    key_check: KeyCheck
    ticked_at: int = 0
    possible_loss_until: int = 0
    journal: Journal | None = None
    lag: ArrivalLag | None = None
    corrected_at: int = 0
    plain_reads: PlainReads = msgspec.field(default_factory=PlainReads)
    gap_count: int = 0
