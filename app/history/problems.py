"""What keeps the history from being written: logged once when it begins and once when it ends."""

import structlog

from app.storage.history_report import PROBLEMS

_log = structlog.get_logger()


class Problems:
    """The problems that hold now, by name, with who has them: a ticker, or a part of the writer."""

    def __init__(self) -> None:
        self._since: dict[str, float] = {}
        self._name_of: dict[str, str] = {}

    def note(self, who: str, name: str, now_ms: float, error: object) -> None:
        """Note that somebody has a problem; its first is logged."""
        self.end(who, except_for=name)
        self._name_of[who] = name
        if name not in self._since:
            self._since[name] = now_ms
            _log.error(f"history: {PROBLEMS[name]}, trying again", error=str(error), problem=name)

    def end(self, who: str, *, except_for: str = "") -> None:
        """Note that somebody has no problem any more; when nobody has it, that is logged."""
        name = self._name_of.get(who)
        if name is None or name == except_for:
            return
        del self._name_of[who]
        if name not in self._name_of.values():
            del self._since[name]
            _log.info("history: written again", problem=name)

    def has(self, who: str) -> bool:
        """Return whether somebody has a problem."""
        return who in self._name_of

    @property
    def oldest(self) -> tuple[str, float]:
        """Return the name of the oldest problem and since when it holds; no name without any."""
        return min(self._since.items(), key=_since_of, default=("", 0.0))


def _since_of(problem: tuple[str, float]) -> float:
    return problem[1]
