"""Base models and field types of answers; their annotations are the published schema."""

import math
from collections.abc import Iterable
from decimal import Decimal
from typing import Annotated, Any, Literal, Self, get_args

from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema

from app.analysis.metric_table import (
    DIGITS,
    EXACT,
    SHARES,
    UNIT_DESCRIPTIONS,
    UNIT_OF,
    Metric,
)
from app.analysis.price_units import MAX_DIGITS
from app.storage.published import Value

LEAST_SIZE = 1e-9
"""Smaller sizes are what sums and differences of floats leave of 0."""


def lean_schema(schema: dict[str, Any]) -> None:
    """Remove titles, null types and null defaults from a JSON schema, which cost model tokens."""
    schema.pop("title", None)
    for fields in schema.get("properties", {}).values():
        fields.pop("title", None)
        if "default" in fields and fields["default"] is None:
            del fields["default"]
        kinds = [kind for kind in fields.get("anyOf", ()) if kind != {"type": "null"}]
        if len(kinds) == 1:
            del fields["anyOf"]
            fields.update(kinds[0])


class AnswerModel(BaseModel):
    """A part of an answer; a field that is absent is not known."""

    model_config = ConfigDict(extra="forbid", frozen=True, json_schema_extra=lean_schema)


Number = Annotated[int | float, WithJsonSchema({"type": "number"})]
Known = Number | None
EpochMs = Annotated[int | None, Field(description="epoch ms")]
Price = Annotated[Known, Field(description="price")]
Flag = Literal["stale", "quiet", "warming", "rejected", "lagging", "delayed", "ahead", "feed_down"]
Flags = Annotated[
    list[Flag],
    Field(
        description="stale: no tick for over 3 intervals; quiet: no quote for unusually long; "
        "warming: younger than the history; rejected: its newest records can't be used; "
        "lagging: records come late; delayed: by over 30 s; "
        "ahead: newest tick ahead of the clock, not to be believed"
    ),
]


def flags_of(known: object) -> list[Flag]:
    """Return the flags that are set on what has one attribute for each."""
    return [flag for flag in get_args(Flag) if getattr(known, flag)]


class RejectedFacts(AnswerModel):
    """Records newer than the newest usable one of their kind, none of them usable."""

    since: Annotated[int, Field(description="epoch ms, the first")]
    quotes: int = 0
    trades: int = 0
    reasons: dict[str, int]


Feeds = Annotated[
    dict[str, int], Field(description="tickers by what their feeds say of themselves")
]
FeedLag = Annotated[int | None, Field(description="records come so late; over 30: delayed feed")]


class Reply(AnswerModel):
    """A whole answer: what is not known, or empty, is absent from its JSON."""

    answer_id: Annotated[
        str | None, Field(description="kept for an hour: `orderflow answers show`")
    ] = None

    def as_json(self) -> dict[str, Any]:
        """Return the reply as JSON types."""
        return self.model_dump(mode="json", exclude_defaults=True)

    def as_text(self) -> str:
        """Return the same facts as compact text."""
        raise NotImplementedError

    def with_id(self, answer_id: str | None) -> Self:
        """Return a copy of the reply with an id."""
        return self.model_copy(update={"answer_id": answer_id})


def rounded(name: str, value: Value) -> Value:
    """Round a metric for text and JSON alike: quoted prices stay as they are."""
    if isinstance(value, str):
        return value
    if UNIT_OF.get(name) == SHARES and abs(value) < LEAST_SIZE:
        return 0
    if DIGITS[name] == EXACT:
        return whole(round(value, MAX_DIGITS))
    return short(value, DIGITS[name])


def metric_fields(rows: Iterable[Metric], *, compared: bool = False) -> dict[str, Any]:
    """Return metrics as pydantic's `create_model` takes them: type and default by name."""
    return {row.name: (_annotation(row, compared=compared), None) for row in rows}


def _annotation(row: Metric, *, compared: bool) -> Any:  # noqa: ANN401 - a type made at run time
    if row.words:
        return Literal[row.words] | None
    if row.is_count:
        return int | None
    described = (compared and row.compare_description) or row.description
    text = described or UNIT_DESCRIPTIONS.get(row.unit)
    return Annotated[Known, Field(description=text)] if text else Known


def significant(value: float | None, digits: int) -> Number | None:
    """Round to significant digits; None stays None."""
    return None if value is None else short(value, digits)


def short(value: float, digits: int) -> Number:
    """Round to significant digits; the digits before the decimal point are always kept.

    >>> short(1234.5678, 6), short(0.00123456789, 3), short(1234567.8, 3), short(200.0, 6)
    (1234.57, 0.00123, 1234568, 200)
    """
    if not math.isfinite(value) or value == 0:
        return 0
    places = digits - 1 - math.floor(math.log10(abs(value)))
    return whole(round(value, places)) if places > 0 else round(value)


def short_size(value: float, digits: int) -> Number:
    """Round a size or a sum of sizes; what floats leave of none is 0.

    >>> short_size(0.30000000000000004, 6), short_size(-1.4e-14, 6)
    (0.3, 0)
    """
    return 0 if abs(value) < LEAST_SIZE else short(value, digits)


def whole(value: float) -> Number:
    """Return a whole number as an int, another number unchanged.

    >>> whole(200.0), whole(0.5)
    (200, 0.5)
    """
    return int(value) if float(value).is_integer() else value


def plain(value: object) -> str:
    """Write a number without an exponent, which people read badly and tokenizers split.

    >>> plain(0.00000123), plain(12), plain(-0.5), plain("STABLE")
    ('0.00000123', '12', '-0.5', 'STABLE')
    """
    said = str(value)
    return format(Decimal(said), "f") if isinstance(value, float) and "e" in said else said


def seconds_of(ms: float) -> Number:
    """Return a duration of `ms` in seconds, to a tenth."""
    return whole(round(ms / 1000, 1))
