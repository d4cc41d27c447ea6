"""Render replies as text and JSON with the same facts, and archive them under an id."""

import functools
import json
from typing import Any, NamedTuple

from app.answers.answer_model import Answer
from app.answers.reader import Reader
from app.answers.schema import Reply
from app.answers.ticker_text import AnswerWriter, id_line
from app.storage.answer_archive import QUESTION, new_id


class RenderedReply:
    """A reply as text, as structured content, and as that content's compact JSON.

    Each is made when it is first asked for: of answers that are too long the text says so. Of
    several answers about one ticker, a common `writer` writes what they have in common once.
    """

    def __init__(self, reply: Reply, writer: AnswerWriter | None = None) -> None:
        self._reply = reply
        self._writer = writer or AnswerWriter()

    @functools.cached_property
    def text(self) -> str:
        """Return the compact text."""
        reply = self._reply
        return self._writer.as_text(reply) if isinstance(reply, Answer) else reply.as_text()

    @functools.cached_property
    def structured_content(self) -> dict[str, Any]:
        """Return the structured content."""
        return self._reply.as_json()

    @functools.cached_property
    def json(self) -> str:
        """Return the structured content as compact JSON."""
        return compact(self.structured_content)


class _WithId(NamedTuple):
    """What `RenderedReply` holds, with the answer's id."""

    text: str
    structured_content: dict[str, Any]
    json: str


class SentReply(NamedTuple):
    """What a client receives: text, structured content, and a PNG for a chart."""

    text: str
    structured_content: dict[str, Any]
    png: bytes | None = None


def render_text(reply: Reply) -> str:
    """Return a reply as compact text."""
    return RenderedReply(reply).text


def archive(
    reader: Reader, reply: Reply, png: bytes | None = None, question: bytes | None = None
) -> SentReply:
    """Archive a reply and return it with its new id, or without an id if Redis refuses."""
    return archive_rendered(reader, RenderedReply(reply), png, question)


def archive_rendered(
    reader: Reader,
    rendered: RenderedReply,
    png: bytes | None = None,
    question: bytes | None = None,
) -> SentReply:
    """Archive a reply that is already rendered; see `archive`."""
    answer_id = new_id()
    with_id = _with_id(rendered, answer_id)
    renderings = {"text": with_id.text.encode(), "json": with_id.json.encode()}
    if question is not None:
        renderings[QUESTION] = question
    if png is not None:
        renderings["png"] = png
    sent = with_id if reader.archive(answer_id, renderings) else rendered
    return SentReply(sent.text, sent.structured_content, png)


def _with_id(rendered: RenderedReply, answer_id: str) -> _WithId:
    """Insert the id where `Reply.with_id` would: first in the JSON, last in the text."""
    return _WithId(
        "\n".join((rendered.text, *id_line(answer_id))),
        {"answer_id": answer_id, **rendered.structured_content},
        f'{{"answer_id":"{answer_id}",{rendered.json[1:]}',
    )


def compact(value: object) -> str:
    """Return JSON without spaces, which would cost model tokens."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)
