"""Replies as they leave: under an id, in two forms that carry the same facts, and kept."""

import json
from typing import Any, NamedTuple

from app.answers.reader import Reader
from app.answers.schema import Reply
from app.answers.ticker_answer import Answer
from app.answers.ticker_text import as_text, id_line
from app.storage.answer_archive import new_id


class RenderedReply(NamedTuple):
    """A reply as text, and structured: as it is sent and as compact JSON."""

    text: str
    structured: dict[str, Any]
    json: str


class SentReply(NamedTuple):
    """What is sent: the text, the structured form, and a picture where there is one."""

    text: str
    structured: dict[str, Any]
    png: bytes | None = None


def render_text(reply: Reply) -> str:
    """Return a reply as compact text."""
    return as_text(reply) if isinstance(reply, Answer) else reply.as_text()


def render(reply: Reply) -> RenderedReply:
    """Return both forms of a reply."""
    structured = reply.as_json()
    return RenderedReply(render_text(reply), structured, compact(structured))


def send(reader: Reader, reply: Reply, png: bytes | None = None) -> SentReply:
    """Keep a reply under an id and return what is sent; without an id where it can't be kept."""
    return send_rendered(reader, render(reply), png)


def send_rendered(reader: Reader, forms: RenderedReply, png: bytes | None = None) -> SentReply:
    """Do the same with the forms of a reply."""
    answer_id = new_id()
    named = _named(forms, answer_id)
    kept = {"text": named.text.encode(), "json": named.json.encode()}
    if png is not None:
        kept["png"] = png
    sent = named if reader.keep(answer_id, kept) else forms
    return SentReply(sent.text, sent.structured, png)


def _named(forms: RenderedReply, answer_id: str) -> RenderedReply:
    """Put the id where the reply itself would: first in the JSON, last in the text."""
    return RenderedReply(
        "\n".join((forms.text, *id_line(answer_id))),
        {"answer_id": answer_id, **forms.structured},
        f'{{"answer_id":"{answer_id}",{forms.json[1:]}',
    )


def compact(value: object) -> str:
    """Return JSON without a space that costs tokens."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)
