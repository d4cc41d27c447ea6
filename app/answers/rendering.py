"""Replies as they leave: under an id, in two forms that carry the same facts, and kept."""

import json
from typing import Any, NamedTuple

from app.answers.reader import Reader
from app.answers.schema import Reply
from app.answers.ticker_answer import Answer
from app.answers.ticker_text import as_text, id_line
from app.storage.answer_archive import new_id


class Forms(NamedTuple):
    """A reply as text, and structured: as it is sent and as compact JSON."""

    text: str
    structured: dict[str, Any]
    json: str


class Said(NamedTuple):
    """What is sent: the text, the structured form, and a picture where there is one."""

    text: str
    structured: dict[str, Any]
    png: bytes | None = None


def text_of(reply: Reply) -> str:
    """Return a reply as compact text."""
    return as_text(reply) if isinstance(reply, Answer) else reply.as_text()


def forms_of(reply: Reply) -> Forms:
    """Return both forms of a reply."""
    structured = reply.as_json()
    return Forms(text_of(reply), structured, compact(structured))


def say(reader: Reader, reply: Reply, png: bytes | None = None) -> Said:
    """Keep a reply under an id and return what is sent; without an id where it can't be kept."""
    return say_forms(reader, forms_of(reply), png)


def say_forms(reader: Reader, forms: Forms, png: bytes | None = None) -> Said:
    """Do the same with the forms of a reply."""
    answer_id = new_id()
    named = _named(forms, answer_id)
    kept = {"text": named.text.encode(), "json": named.json.encode()}
    if png is not None:
        kept["png"] = png
    sent = named if reader.keep(answer_id, kept) else forms
    return Said(sent.text, sent.structured, png)


def _named(forms: Forms, answer_id: str) -> Forms:
    """Put the id where the reply itself would: first in the JSON, last in the text."""
    return Forms(
        "\n".join((forms.text, *id_line(answer_id))),
        {"answer_id": answer_id, **forms.structured},
        f'{{"answer_id":"{answer_id}",{forms.json[1:]}',
    )


def compact(value: object) -> str:
    """Return JSON without a space that costs tokens."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)
