"""`make run` keeps a history unless it is told not to, and goes on without one."""

import os
from pathlib import Path

import pytest

from app.core.settings import Settings
from app.operations import supervisor
from app.operations.history_status import history_line, history_troubles
from app.storage.history_report import HistoryReport

HOUR_MS = 3_600_000.0
NOW_MS = 1_700_000_000_000.0


def settings_with(monkeypatch: pytest.MonkeyPatch, history: str | None) -> Settings:
    monkeypatch.setenv("ORDERFLOW_HISTORY", history or "")
    return Settings()


def test_the_folder_of_make_run_is_the_one_of_all_its_processes(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(supervisor, "DEFAULT_HISTORY", tmp_path / "var" / "history")
    given = settings_with(monkeypatch, None)
    used = supervisor.use_history_by_default(given)
    assert used.history == tmp_path / "var" / "history"
    assert os.environ["ORDERFLOW_HISTORY"] == str(used.history)
    assert (tmp_path / "var").is_dir()
    [program] = supervisor.histories(used)
    assert program.is_optional
    assert program.command[-2:] == ("app", "history")


def test_off_keeps_none(monkeypatch: pytest.MonkeyPatch) -> None:
    used = supervisor.use_history_by_default(settings_with(monkeypatch, "off"))
    assert used.history is None
    assert supervisor.histories(used) == []


def test_a_given_folder_is_that_of_where_make_was_called(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    supervisor.use_history_by_default(settings_with(monkeypatch, "kept"))
    assert os.environ["ORDERFLOW_HISTORY"] == str(tmp_path / "kept")


def test_a_status_says_how_far_it_is_written_and_what_was_lost() -> None:
    report = HistoryReport(
        alive_at=NOW_MS,
        newest_ms=NOW_MS - 600_000,
        tickers=5,
        bytes=12_000_000,
        lost_seconds=7200,
        set_aside=1,
    )
    assert history_line(report, NOW_MS) == (
        "history: 5 tickers, newest second 10 min ago, 12 MB, "
        "lost before they were written: 2.0 h, unreadable files set aside: 1"
    )
    assert list(history_troubles(report, NOW_MS)) == []


def test_a_writer_that_says_nothing_is_gone() -> None:
    report = HistoryReport(alive_at=NOW_MS - HOUR_MS)
    assert list(history_troubles(report, NOW_MS)) == [
        "history is not written: last sign of its writer 60 min ago"
    ]
