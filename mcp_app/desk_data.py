"""What the desk's page asks for, as JSON: read once a second for all pages, and not unasked."""

from collections.abc import Callable
from typing import Any, Final, NamedTuple, TypeVar

import anyio
import msgspec

from app.answers.board import BoardReader
from app.answers.explain import explain
from app.answers.kept_answers import KeptAnswers
from app.answers.live_ticker import live_ticker
from app.answers.past_ticker import past_ticker
from app.answers.reader import Reader
from app.answers.sparks import STEP_SECONDS, SparkKeeper
from app.core import clock
from app.core.errors import BadQuestion, BadTicker, NoAnswer
from app.core.settings import Settings
from app.operations.live_health import HealthWatch
from app.storage.redis_client import connect
from mcp_app.shared_work import SharedWork
from mcp_app.work_pool import WorkPool

REDIS_SECONDS: Final = 1.0
ANSWER_SECONDS: Final = 2.5
PAST_SECONDS: Final = 4.5
"""Files are read slower than Redis answers, the first one of a process by far."""
TICK_READY_MS: Final = 300
"""By when, after the settle time, the ticks of a second can be read: then its board is read."""
TICKERS_A_SECOND: Final = 250
"""The board of more tickers is read less often than once a second."""
HEALTH_SECONDS: Final = 10
MIN_POLL_MS: Final = 250
_POLL_AFTER_READY_MS: Final = 20
_THREADS: Final = 3
_USUAL_SECONDS: Final = 0.03

_Result = TypeVar("_Result")
_encode = msgspec.json.Encoder().encode


class Now(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """What is shown now; parts that were not asked for, or did not change, are absent."""

    now: int
    poll_after_ms: int
    interval_seconds: int
    newest_answer_at: int | None = None
    board: msgspec.Raw
    sparks: msgspec.Raw | None = None
    ticker: msgspec.Raw | None = None


class _BoardPart(NamedTuple):
    """A board with its pictures, encoded once for all pages."""

    board: msgspec.Raw
    sparks: msgspec.Raw | None
    sparks_end: int
    newest_answer_at: int | None


class DeskData:
    """Answers the desk's questions; nothing connects to Redis before the first."""

    def __init__(self, settings: Settings) -> None:
        client = connect(settings, timeout_seconds=REDIS_SECONDS)
        self._settings = settings
        self._reader = Reader(client, settings)
        self._boards = BoardReader(client, settings)
        self._sparks = SparkKeeper(client, settings)
        self._answers = KeptAnswers(client)
        self._health = HealthWatch(client, settings)
        self._seconds_a_board = 1
        # A few threads of their own: people who look must not use up those of agents.
        self._pool = WorkPool("desk", _THREADS, _USUAL_SECONDS)
        self._board_work = self._shared(lambda: self._second() // self._seconds_a_board)
        self._ticker_work = self._shared(self._second)
        self._health_work = self._shared(lambda: self._second() // HEALTH_SECONDS)

    def _shared(self, period: Callable[[], int]) -> SharedWork[Any]:
        return SharedWork(self._pool, for_a_second=True, period=period)

    def _ready_ms(self) -> int:
        """Return the time on a clock whose seconds begin when ticks can be read."""
        return round(clock.now_ms()) - self._settings.settle_ms - TICK_READY_MS

    def _second(self) -> int:
        return self._ready_ms() // 1000

    def _poll_after_ms(self) -> int:
        """Return after how long the next ticks can be read."""
        left = 1000 - self._ready_ms() % 1000 + _POLL_AFTER_READY_MS
        return left if left >= MIN_POLL_MS else left + 1000

    async def now(self, ticker: str | None, since_ms: int | None, sparks_end: int | None) -> bytes:
        """Return the board, and of a ticker what is new since a moment.

        Raises `StoreUnavailable`, `TimeoutError` or `Busy`.
        """
        with anyio.fail_after(ANSWER_SECONDS):
            board: _BoardPart = await self._board_work.run("", self._board_part, ANSWER_SECONDS)
            watched = None
            if ticker is not None:
                watched = await self._ticker_work.run(
                    (ticker, since_ms),
                    lambda: self._ticker_part(ticker, since_ms),
                    ANSWER_SECONDS,
                )
        return _encode(
            Now(
                now=round(clock.now_ms()),
                poll_after_ms=self._poll_after_ms(),
                interval_seconds=self._settings.interval_seconds,
                newest_answer_at=board.newest_answer_at,
                board=board.board,
                sparks=board.sparks if sparks_end != board.sparks_end else None,
                ticker=watched,
            )
        )

    def _board_part(self) -> _BoardPart:
        newest_answer_at = self._answers.newest_at()
        try:
            board = self._boards.read()
        except NoAnswer as error:
            return _BoardPart(_raw({"error": str(error), "tickers": []}), None, 0, newest_answer_at)
        self._seconds_a_board = max(1, -(-board.active // TICKERS_A_SECOND))
        self._sparks.take(board)
        sparks = {
            "end": self._sparks.end,
            "step_seconds": STEP_SECONDS,
            "mids": self._sparks.all(),
        }
        return _BoardPart(_raw(board), _raw(sparks), self._sparks.end, newest_answer_at)

    def _ticker_part(self, ticker: str, since_ms: int | None) -> msgspec.Raw:
        try:
            return _raw(live_ticker(self._reader, ticker, since_ms))
        except (NoAnswer, BadTicker) as error:
            return _raw({"ticker": ticker, "error": str(error)})

    async def history(self, ticker: str, end_ms: int) -> bytes:
        """Return a ticker as of an earlier moment, or what is kept of it instead.

        Raises as `event` does.
        """
        with anyio.fail_after(PAST_SECONDS):
            return await self._pool.run(lambda: self._history(ticker, end_ms), PAST_SECONDS)

    def _history(self, ticker: str, end_ms: int) -> bytes:
        try:
            return _encode(past_ticker(self._reader, ticker, end_ms))
        except (NoAnswer, BadTicker) as error:
            return _encode({"ticker": ticker, "error": str(error)})

    async def event(self, event_id: str) -> bytes:
        """Return an event's evidence.

        Raises `NoAnswer`, `StoreUnavailable`, `TimeoutError` or `Busy`.
        """
        return await self._once(lambda: self._event(event_id))

    def _event(self, event_id: str) -> bytes:
        try:
            found = explain(self._reader, event_id)
        except (BadQuestion, BadTicker) as error:
            raise NoAnswer(str(error)) from error
        return _encode({**found.as_json(), "text": found.as_text()})

    async def answers(self, since_ms: int | None) -> bytes:
        """Return what agents were told; raises as `event` does."""
        return await self._once(
            lambda: _encode(
                {
                    "now": round(clock.now_ms()),
                    "answers": self._answers.listed(float(since_ms or 0)),
                }
            )
        )

    async def answer(self, answer_id: str) -> bytes:
        """Return all of one answer; raises as `event` does."""
        return await self._once(lambda: _encode(self._answers.one(answer_id)))

    async def health(self) -> bytes:
        """Return how the system fares; raises as `event` does."""
        with anyio.fail_after(ANSWER_SECONDS):
            found: bytes = await self._health_work.run(
                "", lambda: _encode(self._health.look()), ANSWER_SECONDS
            )
            return found

    async def _once(self, work: Callable[[], _Result]) -> _Result:
        with anyio.fail_after(ANSWER_SECONDS):
            return await self._pool.run(work, ANSWER_SECONDS)


def _raw(value: object) -> msgspec.Raw:
    return msgspec.Raw(_encode(value))
