"""Take answers out of Redis before they are gone, each once."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import redis

from app.history.answer_files import AnswerFiles, ToldAnswer
from app.storage.answer_archive import AnswerArchive

_AT_ONCE: Final = 200


class AnswerKeeper:
    """Writes the answers that Redis has and the files have not."""

    def __init__(self, folder: Path, client: redis.Redis) -> None:
        self._archive = AnswerArchive(client)
        self._files = AnswerFiles(folder)
        self._kept: dict[str, float] | None = None

    def keep_new(self) -> int:
        """Write what is not written yet; return how many answers that was.

        Raises `OSError`, and redis-py's errors.
        """
        told_at = self._archive.told_at_by_id()
        if not told_at:
            return 0
        if self._kept is None:
            self._kept = dict(self._files.ids_since(min(told_at.values()) - 1))
        new = [answer_id for answer_id in told_at if answer_id not in self._kept]
        for start in range(0, len(new), _AT_ONCE):
            some = new[start : start + _AT_ONCE]
            self._files.append(self._read(some, told_at))
            self._kept |= {answer_id: told_at[answer_id] for answer_id in some}
        self._kept = {it: at for it, at in self._kept.items() if it in told_at}
        return len(new)

    def _read(self, ids: Sequence[str], told_at: dict[str, float]) -> Iterator[ToldAnswer]:
        for answer_id, words in zip(ids, self._archive.find_all(ids), strict=True):
            if words:
                yield ToldAnswer(answer_id, told_at[answer_id], words)
