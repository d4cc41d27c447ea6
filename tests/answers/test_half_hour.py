"""Ranks among the same half hour of earlier sessions."""

import itertools
import random
from collections.abc import Iterator, Sequence
from datetime import date, datetime, time
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from app.analysis.bars import SECOND_MS, Bar
from app.analysis.trading_hours import UTC_DAYS
from app.answers.ask import ask
from app.answers.half_hour import (
    HalfHour,
    half_hour_of,
    measures_of,
    past_of,
    rank_among,
    window_ends,
)
from app.answers.reader import Reader
from app.answers.rendering import render_text
from app.core.settings import Settings
from app.storage.session_calendars import hours_of_calendar
from tests.kept_files import keep_bars
from tests.key_writer import METRICS, KeyWriter

PAIR = "BTC/USD"
DAY_MS = 86_400_000
HALF_HOUR_MS = 1_800_000


def day_of(draw: random.Random, half_hour: int) -> list[dict[str, float]]:
    """Return the windows of one half hour of a day: busy at its ends, each day in its own way."""
    level = (1 + abs(half_hour - 6)) * draw.lognormvariate(0, 0.5)
    return [{"volume": level * draw.lognormvariate(0, 0.4)} for _ in range(12)]


@pytest.mark.parametrize("sessions", [5, 20])
def test_ranks_of_simulated_days_are_even_whatever_the_half_hour(sessions: int) -> None:
    draw = random.Random(3)  # noqa: S311 - a test's, not a secret's
    ranks = []
    for number in range(1500):
        half_hour = number % 13
        past = past_of([day_of(draw, half_hour) for _ in range(sessions)])
        assert past is not None
        now = draw.choice(day_of(draw, half_hour))["volume"]
        found = rank_among(past, {"buy_volume": now, "sell_volume": 0, "unsigned_volume": 0})
        ranks.append(found.ranks["volume"])

    ranks.sort()
    # A few sessions leave the rank of a day that is its own coarse, but not to one side.
    distance = max(abs(rank - place / len(ranks)) for place, rank in enumerate(ranks))
    assert distance < (0.12 if sessions == 5 else 0.06)
    assert sum(ranks) / len(ranks) == pytest.approx(0.5, abs=0.03)


def test_without_regard_to_the_time_of_day_they_would_not_be_even() -> None:
    draw = random.Random(4)  # noqa: S311 - a test's, not a secret's
    whole_days = past_of(
        [[window for half in range(13) for window in day_of(draw, half)] for _ in range(20)]
    )
    assert whole_days is not None

    noon = [day_of(draw, 6)[0]["volume"] for _ in range(400)]
    fields = ({"buy_volume": it, "sell_volume": 0.0, "unsigned_volume": 0.0} for it in noon)
    ranks = [rank_among(whole_days, it).ranks["volume"] for it in fields]

    assert sum(ranks) / len(ranks) < 0.25


def test_fewer_than_five_sessions_give_no_ranks() -> None:
    assert past_of([[{"spread_bps": 1.0}]] * 4 + [[]]) is None
    assert past_of([[{"spread_bps": 1.0}]] * 5) is not None


def test_what_is_not_known_has_no_rank() -> None:
    past = past_of([[{"spread_bps": 1.0}]] * 5)
    assert past is not None

    assert rank_among(past, {"quotes_per_second": 3.0}).ranks == {}
    assert measures_of({"buy_volume": 3.0, "sell_volume": 1.0}) == {}


def test_half_hours_are_counted_from_the_open() -> None:
    new_york = hours_of_calendar("XNYS")
    noon = 1_700_064_000_000 + 1_234_000  # 2023-11-15 16:00 UTC: an hour and a half after the open

    found = half_hour_of(new_york, noon)
    assert found == HalfHour(1_700_064_000_000, 1_700_064_000_000 + HALF_HOUR_MS)
    assert half_hour_of(new_york, noon - 12 * 3_600_000) is None
    assert half_hour_of(UTC_DAYS, noon) == found


@pytest.mark.parametrize("seconds", [10, 60, 300, 1800])
def test_the_windows_of_a_half_hour_are_inside_it_and_apart(seconds: int) -> None:
    half_hour = HalfHour(0, HALF_HOUR_MS)

    ends = [*window_ends(half_hour, seconds)]

    assert 1 <= len(ends) <= 12
    assert ends[0] - seconds * 1000 >= 0
    assert ends[-1] <= HALF_HOUR_MS
    assert all(later - one >= seconds * 1000 for one, later in itertools.pairwise(ends))


def seconds_of(start_ms: int, volume: float) -> Iterator[Bar]:
    """Yield the bars of a half hour and five minutes before, with so much volume each second."""
    for end in range(start_ms - 300_000, start_ms + HALF_HOUR_MS + 1, SECOND_MS):
        yield Bar(end).set_fields(
            {
                "quote_count": 10,
                "covered_ms": 1000.0,
                "spread_ms": 1000.0 * 10**6,
                "spread_bps_ms": 1000.0 * volume,
                "spread_time_ms": 1000.0,
                "trade_count": 1,
                "buy_volume": volume,
                "trades_seen": 1,
                "stood": 1,
                "bid_price": 10**9,
                "ask_price": 10**9 + 10**6,
                "bid_size": 1.0,
                "ask_size": 1.0,
                "mid2": 2 * 10**9 + 10**6,
                "spread": 10**6,
            }.items()
        )


def keep_half_hours(folder: Path, start_ms: int, volumes: Sequence[float]) -> None:
    """Keep the same half hour of as many earlier days, the oldest last."""
    for number, volume in reversed([*enumerate(volumes, start=1)]):
        keep_bars(folder, PAIR, [*seconds_of(start_ms - number * DAY_MS, volume)])


@pytest.fixture
def healthy_pair(writer: KeyWriter) -> int:
    """Write a healthy ticker whose sessions are UTC days; return its newest tick."""
    writer.quote(PAIR)
    writer.trade(PAIR)
    writer.heartbeat()
    writer.discovered(PAIR)
    return writer.tick(PAIR)


def start_of(as_of: int) -> int:
    found = half_hour_of(UTC_DAYS, as_of)
    assert found is not None
    return found.start_ms


def test_an_answer_tells_the_ranks_among_six_kept_sessions(
    healthy_pair: int, settings: Settings, tmp_path: Path
) -> None:
    volume = sum(METRICS[name] for name in ("buy_volume", "sell_volume", "unsigned_volume"))
    a_second = volume / 300
    factors = (0.5, 0.6, 0.7, 0.8, 2.0, 3.0)
    keep_half_hours(tmp_path, start_of(healthy_pair), [a_second * it for it in factors])
    reader = Reader.from_settings(settings.model_copy(update={"history_given": str(tmp_path)}))

    answer = ask(reader, PAIR).answer

    assert answer.half_hour is not None
    assert answer.half_hour.sessions == 6
    assert answer.half_hour.ranks["volume"] == pytest.approx(4 / 6, abs=0.01)
    assert "vs this half hour of 6 sessions: volume p67" in render_text(answer)
    reader.close()


def test_with_four_kept_sessions_an_answer_has_none(
    healthy_pair: int, settings: Settings, tmp_path: Path
) -> None:
    keep_half_hours(tmp_path, start_of(healthy_pair), [1.0] * 4)
    reader = Reader.from_settings(settings.model_copy(update={"history_given": str(tmp_path)}))

    assert ask(reader, PAIR).answer.half_hour is None
    reader.close()


def test_files_that_can_not_be_read_do_not_stop_an_answer_about_now(
    healthy_pair: int, settings: Settings, tmp_path: Path
) -> None:
    keep_half_hours(tmp_path, start_of(healthy_pair), [1.0] * 6)
    for path in tmp_path.rglob("*.parquet"):
        path.write_bytes(b"no parquet")
    reader = Reader.from_settings(settings.model_copy(update={"history_given": str(tmp_path)}))

    answer = ask(reader, PAIR).answer

    assert answer.half_hour is None
    assert answer.metrics.bid_price is not None
    reader.close()


def test_a_session_that_can_not_be_read_does_not_hide_the_others(
    healthy_pair: int, settings: Settings, tmp_path: Path
) -> None:
    keep_half_hours(tmp_path, start_of(healthy_pair), [1.0] * 6)
    oldest = min(tmp_path.glob("seconds/date=*/*.parquet"))
    oldest.write_bytes(b"no parquet")
    reader = Reader.from_settings(settings.model_copy(update={"history_given": str(tmp_path)}))

    answer = ask(reader, PAIR).answer

    assert answer.half_hour is not None
    assert answer.half_hour.sessions == 5
    reader.close()


def test_the_hours_after_a_half_day_are_no_half_hour_of_its_session(
    settings: Settings, tmp_path: Path
) -> None:
    new_york = ZoneInfo("America/New_York")
    days = [date(2023, 11, day) for day in (15, 16, 17, 20, 21, 22, 24, 27)]  # the 24th: to 13:00
    *earlier, now = [
        round(datetime.combine(day, time(14), new_york).timestamp() * 1000) for day in days
    ]
    for start in earlier:
        keep_bars(tmp_path, "SPY", [*seconds_of(start, 1.0)])
    config = settings.model_copy(update={"history_given": str(tmp_path)})
    past = Reader.from_settings(config).past

    found = past.half_hour_ranks("SPY", now + 60_000, 60, {"spread_bps": 1.0})

    assert found is not None
    assert found.sessions == 6
