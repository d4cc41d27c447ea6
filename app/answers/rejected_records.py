"""Tell which of a ticker's newest records are usable and which are rejected.

A tick counts what it rejected since the newest usable record; the newest member of the quotes key
may be newer than that tick, and is parsed here.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from app.analysis.price_units import EXACT_DIGITS
from app.analysis.quality_table import REJECTED
from app.analysis.record_parser import parse_quote
from app.analysis.record_schemas import MIN_EPOCH_MS
from app.answers.durations import age, ago, since
from app.answers.schema import Flag, RejectedFacts
from app.core.errors import RecordRejected
from app.storage.published import Number, RejectedCount, RejectedRecords

_MEANINGS = {row.name: row.meaning for row in REJECTED}
DOCUMENT = "docs/broker.md"


class NewestQuote(NamedTuple):
    """The stamp of a ticker's newest usable quote, None without any, and what was rejected since.

    `is_folded`: a tick has folded a usable quote.
    """

    usable_ms: Number | None
    rejected: RejectedRecords
    is_folded: bool


def find_newest_quote(
    newest: Sequence[tuple[bytes, float]],
    as_of_ms: Number | None,
    quote_at_ms: Number | None,
    rejected: RejectedRecords,
    covered_seconds: Number | None,
) -> NewestQuote:
    """Return the newest usable quote, given the newest member with its score.

    The others are what the newest tick published: its `as_of`, the stamp of the quote in its
    windows, what it rejected since, and what a window covers. A usable member stamped up to `as_of`
    and newer than that quote came late and is in no number. States of former versions have no stamp
    of a quote.
    """
    # Windows that cover nothing are those of a ticker with trades alone so far.
    has_tick = quote_at_ms is not None or bool(rejected) or covered_seconds == 0
    if not newest or newest[0][1] < MIN_EPOCH_MS:
        return NewestQuote(quote_at_ms, rejected, quote_at_ms is not None)
    member, score = newest[0]
    is_newer = as_of_ms is None or score > as_of_ms
    if has_tick and not is_newer:
        return NewestQuote(quote_at_ms, rejected, quote_at_ms is not None)
    try:
        # In a unit that holds whatever some ticker's unit may be made to hold.
        parse_quote(member, score, EXACT_DIGITS)
    except RecordRejected as error:
        if is_newer:
            rejected = rejected.with_quote(score, error.reason)
        return NewestQuote(quote_at_ms, rejected, quote_at_ms is not None)
    quotes_before = RejectedRecords(trades=rejected.trades)
    return NewestQuote(score, quotes_before, quote_at_ms is not None or not has_tick)


def rejected_facts(rejected: RejectedRecords) -> RejectedFacts | None:
    """Return what was rejected in the published form, None where nothing was."""
    kinds = [kind for kind in (rejected.quotes, rejected.trades) if kind.count]
    if not kinds:
        return None
    return RejectedFacts(
        since=round(min(kind.since_ms for kind in kinds)),
        quotes=rejected.quotes.count,
        trades=rejected.trades.count,
        reasons=rejected.reasons(),
    )


def rejected_text(facts: RejectedFacts, now_ms: float) -> str:
    """Return what was rejected as text.

    >>> facts = RejectedFacts(since=1000, quotes=147, reasons={"missing_number": 147})
    >>> rejected_text(facts, 16000)
    '147 quotes since 15 s ago, newer than any usable one: missing_number 147'
    """
    kinds = [
        _number(n, kind) for n, kind in ((facts.quotes, "quote"), (facts.trades, "trade")) if n
    ]
    usable = "any usable one" if len(kinds) == 1 else "any usable one of their kind"
    when = ago(facts.since, now_ms)
    return f"{' and '.join(kinds)} since {when}, newer than {usable}: {_counts(facts.reasons)}"


def flag_texts(
    flags: Sequence[Flag], rejected: RejectedFacts | None, now_ms: float
) -> Iterator[str]:
    """Yield the flags as text, with number and reasons where records are rejected."""
    for flag in flags:
        if flag == "rejected" and rejected is not None:
            yield f"REJECTED {rejected_text(rejected, now_ms)}"
        else:
            yield flag.upper().replace("_", " ")


def describe_unusable(rejected: RejectedCount, usable_ms: Number | None, now_ms: float) -> str:
    """Return that no quote that arrived is usable, with number, reasons and what to check.

    >>> describe_unusable(RejectedCount(1000.0, 120, {"zero_size": 120}), None, 25000)
    '120 quotes arrived in the last 24 s, none usable: zero_size 120 (is a print of size 0); \
what a record must be is in docs/broker.md'
    """
    main = max(rejected.reasons, key=lambda name: rejected.reasons[name], default="")
    meaning = f" ({_MEANINGS[main]})" if main in _MEANINGS else ""
    when = "" if usable_ms is None else f"the newest usable one came {since(usable_ms, now_ms)}; "
    return (
        f"{_number(rejected.count, 'quote')} arrived in the last "
        f"{age((now_ms - rejected.since_ms) / 1000)}, none usable: "
        f"{_counts(rejected.reasons)}{meaning}; {when}what a record must be is in {DOCUMENT}"
    )


def _counts(reasons: Mapping[str, int]) -> str:
    ordered = sorted(reasons.items(), key=lambda item: (-item[1], item[0]))
    return ", ".join(f"{name} {count}" for name, count in ordered)


def _number(count: int, kind: str) -> str:
    return f"{count} {kind}" if count == 1 else f"{count} {kind}s"
