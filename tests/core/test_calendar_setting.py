"""The setting that tells tickers' calendars."""

import pytest

from app.core.calendar_setting import CalendarRule, calendar_names, parse_calendars
from app.core.errors import SettingError
from app.core.settings import read_settings


def test_it_holds_rules_in_their_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ORDERFLOW_CALENDARS", " ES=F=CMES  *USDT=24/7 ")

    assert read_settings().calendars == (
        CalendarRule("ES=F", "CMES"),
        CalendarRule("*USDT", "24/7"),
    )


@pytest.mark.parametrize("text", ["XNYS", "ES*=", "=XNYS", "ES*=NYSE", "ES*=xnys", "A=XNYS B"])
def test_what_is_no_rule_is_refused_by_name(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("ORDERFLOW_CALENDARS", text)

    with pytest.raises(SettingError) as refusal:
        read_settings()

    assert f"ORDERFLOW_CALENDARS={text!r} is not allowed" in str(refusal.value)
    assert all(name in str(refusal.value) for name in calendar_names())


def test_nothing_gives_no_rules() -> None:
    assert parse_calendars("") == ()
