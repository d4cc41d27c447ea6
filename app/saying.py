"""Replies as they leave: under an id, in two forms that carry the same facts, and kept."""

import json
from typing import Any, NamedTuple

from app.answer_text import as_text
from app.answers import Answer
from app.facts import Reply
from app.kept import new_id
from app.reader import Reader


class Said(NamedTuple):
    """What is sent: the text, the structured form, and a picture where there is one."""

    text: str
    structured: dict[str, Any]
    png: bytes | None = None


def text_of(reply: Reply) -> str:
    """Return a reply as compact text."""
    return as_text(reply) if isinstance(reply, Answer) else reply.as_text()


def say(reader: Reader, reply: Reply, png: bytes | None = None) -> Said:
    """Keep a reply under an id and return what is sent; without an id where it can't be kept."""
    answer_id = new_id()
    named = _forms(reply.named(answer_id), png)
    forms = {"text": named.text.encode(), "json": compact(named.structured).encode()}
    if png is not None:
        forms["png"] = png
    return named if reader.keep(answer_id, forms) else _forms(reply, png)


def _forms(reply: Reply, png: bytes | None) -> Said:
    return Said(text_of(reply), reply.as_json(), png)


def compact(value: object) -> str:
    """Return JSON without a space that costs tokens."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)
