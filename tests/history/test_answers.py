"""Answers are found weeks after they were told, as they were sent."""

import gzip
import json
from pathlib import Path

import pytest
import redis
from click.testing import CliRunner

from app.answers.reader import Reader
from app.cli import main
from app.core.errors import HistoryFileUnreadable, UnknownAnswer
from app.core.settings import Settings
from app.history.answer_files import AnswerFiles, ToldAnswer
from app.history.answers import AnswerKeeper
from tests.key_writer import KeyWriter
from tests.mcp_app.agents import call, text_of

DAY_MS = 86_400_000
TOLD_AT = 1_700_000_000_000


def told(answer_id: str, at_ms: int = TOLD_AT, text: str = "a line\nanother") -> ToldAnswer:
    structured = json.dumps({"answer_id": answer_id}, separators=(",", ":"))
    return ToldAnswer(answer_id, at_ms, {"text": text.encode(), "json": structured.encode()})


def test_an_answer_that_redis_has_forgotten_is_shown_as_it_was_sent(
    writer: KeyWriter,
    settings: Settings,
    redis_client: redis.Redis,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    writer.healthy_ticker()
    result = call(settings, "analyze_order_flow_tool", ticker="SPY", history="60s")
    assert result.structured_content is not None
    answer_id = result.structured_content["answer_id"]
    assert AnswerKeeper(tmp_path, redis_client).keep_new() == 1
    redis_client.flushall()
    kept = settings.model_copy(update={"history_given": str(tmp_path)})
    monkeypatch.setattr("app.cli.show_answer.settings", lambda: kept)

    text, structured, question = (
        CliRunner().invoke(main, ["answers", "show", answer_id, *form])
        for form in ((), ("--json",), ("--question",))
    )

    assert text.stdout_bytes == text_of(result).encode()
    assert json.loads(structured.stdout_bytes) == result.structured_content
    asked = json.loads(question.stdout_bytes)
    assert asked["ticker"] == "SPY"
    assert asked["history"] == "60s"


def test_each_answer_is_written_once_also_by_a_keeper_begun_anew(
    reader: Reader, redis_client: redis.Redis, tmp_path: Path
) -> None:
    said = {"text": b"said", "json": b"{}", "png": b"PNG"}
    counts = []
    for answer_id in ("aaaaaaaa", "bbbbbbbb", "cccccccc"):
        assert reader.archive(answer_id, said)
        keeper = AnswerKeeper(tmp_path, redis_client)
        counts += [keeper.keep_new(), keeper.keep_new()]

    assert counts == [1, 0, 1, 0, 1, 0]
    lines = [
        json.loads(line)
        for file in tmp_path.rglob("*.jsonl.gz")
        for line in gzip.decompress(file.read_bytes()).decode().splitlines()
    ]
    assert [line["id"] for line in lines] == ["aaaaaaaa", "bbbbbbbb", "cccccccc"]
    assert lines[0].keys() == {"id", "told_at", "question", "text", "json"}
    assert lines[0]["question"] is None


def test_answers_of_many_days_are_found_by_their_ids(tmp_path: Path) -> None:
    files = AnswerFiles(tmp_path)
    for day in range(30):
        files.append(
            told(f"{letter}{'abcdefghijklmnopqrstuvwxyz234567'[day]}aaaaaa", TOLD_AT + day * DAY_MS)
            for letter in "xyz"
        )

    assert len(files.dates()) == 30
    assert files.find("zaaaaaaa")["json"] == b'{"answer_id":"zaaaaaaa"}'
    assert files.find("x7aaaaaa") == {}
    assert files.find("y4aaaaaa")["text"] == b"a line\nanother"


def test_a_file_that_was_cut_keeps_its_whole_members_and_grows_on(tmp_path: Path) -> None:
    AnswerFiles(tmp_path).append([told("aaaaaaaa")])
    AnswerFiles(tmp_path).append([told("bbbbbbbb")])
    [file] = tmp_path.rglob("*.jsonl.gz")
    file.write_bytes(file.read_bytes()[:-5])

    found = AnswerFiles(tmp_path)
    assert found.find("bbbbbbbb") == {}
    found.append([told("cccccccc")])

    assert [*found.ids_since(0)] == ["aaaaaaaa", "cccccccc"]


def damaged_in_its_middle(folder: Path) -> Path:
    """Keep five answers, a member each, and damage the third."""
    for letter in "abcde":
        AnswerFiles(folder).append([told(8 * letter)])
    [file] = folder.rglob("*.jsonl.gz")
    whole = bytearray(file.read_bytes())
    starts = [place for place in range(len(whole)) if whole.startswith(b"\x1f\x8b\x08", place)]
    assert len(starts) == 5
    whole[starts[2] + 15 : starts[2] + 25] = bytes(10)
    file.write_bytes(whole)
    return file


def test_damage_in_the_middle_of_a_file_hides_and_loses_nothing_behind_it(tmp_path: Path) -> None:
    damaged_in_its_middle(tmp_path)

    files = AnswerFiles(tmp_path)
    assert files.find("eeeeeeee")["text"] == b"a line\nanother"
    files.append([told("ffffffff")])

    assert [*AnswerFiles(tmp_path).ids_since(0)] == [8 * letter for letter in "abdef"]
    assert files.find("cccccccc") == {}


def test_a_torn_end_behind_damage_is_cut_before_the_file_grows_on(tmp_path: Path) -> None:
    file = damaged_in_its_middle(tmp_path)
    file.write_bytes(file.read_bytes()[:-5])

    AnswerFiles(tmp_path).append([told("ffffffff")])

    assert [*AnswerFiles(tmp_path).ids_since(0)] == [8 * letter for letter in "abdf"]


@pytest.mark.parametrize("line", ["no JSON", "[]", '{"id":"bbbbbbbb"}', '{"id":1,"told_at":2}', ""])
def test_a_line_of_another_form_stops_no_keeper(
    reader: Reader, redis_client: redis.Redis, tmp_path: Path, line: str
) -> None:
    assert reader.archive("aaaaaaaa", {"text": b"said", "json": b"{}"})
    assert AnswerKeeper(tmp_path, redis_client).keep_new() == 1
    [file] = tmp_path.rglob("*.jsonl.gz")
    file.write_bytes(file.read_bytes() + gzip.compress(f"{line}\n".encode()))
    assert reader.archive("cccccccc", {"text": b"said", "json": b"{}"})

    assert AnswerKeeper(tmp_path, redis_client).keep_new() == 1

    assert AnswerFiles(tmp_path).find("cccccccc")["text"] == b"said"


def test_an_answer_whose_line_has_another_form_is_named(tmp_path: Path) -> None:
    AnswerFiles(tmp_path).append([told("aaaaaaaa")])
    [file] = tmp_path.rglob("*.jsonl.gz")
    file.write_bytes(file.read_bytes() + gzip.compress(b'{"id":"bbbbbbbb","told_at":"soon"}\n'))

    with pytest.raises(HistoryFileUnreadable, match=r"answers\.jsonl\.gz.*bbbbbbbb"):
        AnswerFiles(tmp_path).find("bbbbbbbb")


@pytest.mark.usefixtures("redis_client")
def test_an_answer_that_is_nowhere_is_named(settings: Settings, tmp_path: Path) -> None:
    with_history = Reader.from_settings(
        settings.model_copy(update={"history_given": str(tmp_path)})
    )

    with pytest.raises(UnknownAnswer, match="no answer 'aaaaaaaa' is kept"):
        with_history.archived("aaaaaaaa")
    with pytest.raises(UnknownAnswer, match=r"no answer '\.\./x' is kept"):
        with_history.archived("../x")
    with pytest.raises(UnknownAnswer, match="nor is it in the history"):
        with_history.archived("bbbbbbbb")
    with_history.close()
