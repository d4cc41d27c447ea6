"""Write what the tool would have answered every few seconds of a tape."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import msgspec
from tqdm import tqdm

from app.analysis.bars import SECOND_MS
from app.answers.ask import ask
from app.answers.history_argument import DEFAULT_HISTORY
from app.answers.rendering import RenderedReply
from app.core.errors import NoAnswer
from app.core.settings import Settings
from app.evaluation.tape_server import tape_server, whole_seconds
from app.feeds.tape import Tape

_json = msgspec.json.Encoder().encode


class TapeAnswer(NamedTuple):
    """What was answered as of a tick; `fault` says why nothing could be."""

    as_of_ms: int
    reply: RenderedReply | None
    fault: str | None


def answers_over(
    ticker: str,
    tape: Tape,
    settings: Settings,
    every_seconds: int,
    history: str = DEFAULT_HISTORY,
) -> Iterator[TapeAnswer]:
    """Yield an answer every few seconds of a tape, each from what was known then."""
    with tape_server(ticker, tape, settings) as server:
        for as_of_ms in tqdm(whole_seconds(tape), unit="tick", disable=None):
            server.advance(as_of_ms)
            if as_of_ms // SECOND_MS % every_seconds:
                continue
            try:
                yield TapeAnswer(as_of_ms, ask(server.reader, ticker, history).reply, None)
            except NoAnswer as error:
                yield TapeAnswer(as_of_ms, None, str(error))


def write_answers(
    ticker: str, tape: Tape, out: Path, settings: Settings, every_seconds: int
) -> int:
    """Write `answers.txt` and `answers.jsonl`; return the number of answers."""
    out.mkdir(parents=True, exist_ok=True)
    number = 0
    with (
        (out / "answers.txt").open("w", encoding="utf-8") as texts,
        (out / "answers.jsonl").open("wb") as lines,
    ):
        for one in answers_over(ticker, tape, settings, every_seconds):
            number += 1
            text = one.fault if one.reply is None else one.reply.text
            texts.write(f"{text}\n\n")
            said = {"error": one.fault} if one.reply is None else one.reply.structured_content
            lines.write(_json({"tick": one.as_of_ms, "answer": said}) + b"\n")
    return number
