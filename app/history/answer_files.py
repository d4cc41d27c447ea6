"""Answers beyond the hour that Redis has them: lines of JSON, one gzip file a day (UTC).

    DIR/answers/date=2026-11-30/answers.jsonl.gz

A line is `{"id": …, "told_at": epoch ms, "question": {…}, "text": …, "json": {…}}`. The text and
the JSON are what was sent, byte for byte; pictures are not kept.
"""

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from app.core.errors import HistoryFileUnreadable
from app.core.gzip_members import MemberFile, whole_members
from app.history.paths import ANSWERS, date_folder, kept_dates
from app.storage.answer_archive import QUESTION

FILE_NAME: Final = "answers.jsonl.gz"


class ToldAnswer(NamedTuple):
    """An answer, when it was told (epoch ms), and its renderings without pictures."""

    id: str
    told_at: float
    renderings: Mapping[str, bytes]


_NULL: Final = msgspec.Raw(b"null")


class _Line(msgspec.Struct):
    id: str
    told_at: int
    question: msgspec.Raw = _NULL
    text: str | None = None
    json: msgspec.Raw = _NULL


class _Start(msgspec.Struct):
    id: str
    told_at: int


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(_Line).decode
_decode_start = msgspec.json.Decoder(_Start).decode


class AnswerFiles:
    """The files of one folder of history; a file grows by whole members."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._files: dict[date, MemberFile] = {}

    def append(self, answers: Iterable[ToldAnswer]) -> None:
        """Append answers to the files of their days.

        Raises `OSError`.
        """
        lines: dict[date, list[str]] = {}
        for answer in answers:
            lines.setdefault(_day_of(answer.told_at), []).append(_line_of(answer))
        for day, found in lines.items():
            self._file_of(day).append(found)

    def find(self, answer_id: str) -> dict[str, bytes]:
        """Return an answer's renderings by name, empty where it is not kept.

        The newest day is read first. Raises `HistoryFileUnreadable`, or `OSError`.
        """
        start = f'{{"id":"{answer_id}",'.encode()
        for day in reversed(self.dates()):
            for text in whole_members(self._path(day)):
                place = 0 if text.startswith(start) else text.find(b"\n" + start) + 1
                if place or text.startswith(start):
                    return self._renderings(day, answer_id, text[place:].partition(b"\n")[0])
        return {}

    def ids_since(self, since_ms: float) -> dict[str, int]:
        """Return the ids of the answers told since an instant, with when they were.

        Raises `OSError`.
        """
        found: dict[str, int] = {}
        for day in self.dates():
            if day >= _day_of(since_ms):
                starts = (_start_of(line) for line in self._lines(day))
                found |= {it.id: it.told_at for it in starts if it and it.told_at >= since_ms}
        return found

    def _renderings(self, day: date, answer_id: str, line: bytes) -> dict[str, bytes]:
        try:
            return _renderings(line)
        except msgspec.MsgspecError as error:
            raise HistoryFileUnreadable(
                f"{self._path(day)}: the line of answer {answer_id} can't be read: {error}"
            ) from None

    def dates(self) -> list[date]:
        """Return the days of which answers are kept, in order."""
        return [day for day in kept_dates(self._folder, ANSWERS) if self._path(day).exists()]

    def _lines(self, day: date) -> Iterator[bytes]:
        for text in whole_members(self._path(day)):
            yield from text.splitlines()

    def _path(self, day: date) -> Path:
        return date_folder(self._folder, ANSWERS, day) / FILE_NAME

    def _file_of(self, day: date) -> MemberFile:
        path = self._path(day)
        path.parent.mkdir(parents=True, exist_ok=True)
        if day not in self._files:
            self._files = {day: MemberFile(path)}
        return self._files[day]


def _day_of(at_ms: float) -> date:
    return datetime.fromtimestamp(at_ms / 1000, UTC).date()


def _start_of(line: bytes) -> _Start | None:
    """Return how a line begins, None where it is of another form: no answer is found by it."""
    try:
        return _decode_start(line)
    except msgspec.MsgspecError:
        return None


def _line_of(answer: ToldAnswer) -> str:
    found = answer.renderings
    question, structured = (msgspec.Raw(found.get(name, _NULL)) for name in (QUESTION, "json"))
    text = found["text"].decode() if "text" in found else None
    line = _Line(answer.id, int(answer.told_at), question, text, structured)
    return _encode(line).decode()


def _renderings(packed: bytes) -> dict[str, bytes]:
    line = _decode(packed)
    found = {QUESTION: bytes(line.question), "json": bytes(line.json)}
    if line.text is not None:
        found["text"] = line.text.encode()
    return {name: rendering for name, rendering in found.items() if rendering != bytes(_NULL)}
