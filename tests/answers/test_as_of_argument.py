"""How earlier moments are read."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.answers.as_of_argument import parse_moment
from app.core.errors import BadMoment

# Summer: New York is four hours behind UTC.
NOW = datetime(2012, 6, 21, 14, 30, 0, 500_000, UTC).timestamp() * 1000
WHOLE = NOW - 500


@pytest.mark.parametrize(
    ("typed", "seconds_ago"),
    [
        ("10 minutes ago", 600.5),
        ("ten minutes ago", 600.5),
        ("an hour ago", 3600.5),
        ("half an hour ago", 1800.5),
        ("5m ago", 300.5),
        ("-10m", 600.5),
        ("now-10m", 600.5),
        ("now - 10 minutes", 600.5),
        ("10 min before now", 600.5),
        ("at 14:20", 600.5),
        ("10:20 Eastern", 600.5),
        ("- 90 seconds", 90.5),
        ("-300", 300.5),
        ("minus 5 min", 300.5),
        ("14:20", 600.5),
        ("14:20:30", 570.5),
        ("14:20 UTC", 600.5),
        ("2:20 pm", 600.5),
        ("10:20 ET", 600.5),
        ("10:20am ET", 600.5),
        ("10:20 EDT", 600.5),
        ("09:20 CT", 600.5),
        ("07:20 PT", 600.5),
        ("2012-06-21T14:20:00Z", 600.5),
        ("2012-06-21t14:20:00.9z", 600.5),
        ("2012-06-21 14:20", 600.5),
        ("2012-06-21 10:20 ET", 600.5),
        ("2012-06-21T10:20:00-04:00", 600.5),
        ("1340288400", 600.5),
        ("1340288400.5", 600.5),
        ("1340288400123", 600.5),
        (" 1340288400123.4 ", 600.5),
    ],
)
def test_moments_are_whole_seconds_of_the_last_hour(typed: str, seconds_ago: float) -> None:
    moment = parse_moment(typed, NOW)

    assert moment is not None
    assert (NOW - moment) / 1000 in (seconds_ago, seconds_ago - 1)
    assert moment % 1000 == 0


@pytest.mark.parametrize("typed", ["", "  ", "now", "Now", "latest"])
def test_now_is_no_earlier_moment(typed: str) -> None:
    assert parse_moment(typed, NOW) is None


def test_a_time_of_day_is_the_nearest_one() -> None:
    past_midnight = datetime(2012, 6, 21, 0, 10, tzinfo=UTC).timestamp() * 1000

    assert parse_moment("23:50", past_midnight) == past_midnight - 20 * 60_000
    assert parse_moment("00:05", past_midnight) == past_midnight - 5 * 60_000
    assert parse_moment("19:55 ET", past_midnight) == past_midnight - 15 * 60_000


def test_a_time_of_day_in_winter_is_an_hour_later() -> None:
    winter = datetime(2012, 12, 21, 15, 0, tzinfo=UTC).timestamp() * 1000

    assert parse_moment("09:45 ET", winter) == winter - 15 * 60_000


@pytest.mark.parametrize(
    ("typed", "distance"),
    [
        ("19:50", "5.3 h ahead of now"),
        ("15:00 ET", "4.5 h ahead of now"),
        ("2012-06-21T14:32:00Z", "120 s ahead of now"),
        ("1340289600", "600 s ahead of now"),
        ("in 5 minutes", "300 s ahead of now"),
        ("+5m", "300 s ahead of now"),
        ("10 minutes from now", "10 min ahead of now"),
        ("12:00", "2.5 h ago"),
        ("2 hours ago", "2.0 h ago"),
        ("1 day ago", "24.0 h ago"),
        ("2012-06-20", "38.5 h ago"),
    ],
)
def test_a_moment_outside_the_last_hour_is_told_by_how_much(typed: str, distance: str) -> None:
    with pytest.raises(BadMoment) as refused:
        parse_moment(typed, NOW)

    assert f"as_of {typed!r} lies {distance}, outside the last hour" in str(refused.value)
    assert "now is 2012-06-21 14:30:00 UTC" in str(refused.value)


@pytest.mark.parametrize(
    "typed",
    [
        "noon",
        "25:00",
        "14:99",
        "13:20 pm",
        "14:20 XX",
        "10 minutes",
        "-",
        "ago",
        "1e9",
        "x" * 60,
        "\u0661\u0664:20",
        "1340288400123456789",
        "2012-13-01",
    ],
)
def test_what_is_no_moment_is_refused_with_the_accepted_forms(typed: str) -> None:
    with pytest.raises(BadMoment, match="accepted: 10 minutes ago, -10m, now"):
        parse_moment(typed, NOW)


@given(st.text(max_size=45))
def test_any_text_is_a_moment_of_the_last_hour_or_refused(typed: str) -> None:
    try:
        moment = parse_moment(typed, NOW)
    except BadMoment:
        return

    assert moment is None or -1000 <= NOW - moment <= 3_601_000
