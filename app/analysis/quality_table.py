"""Declare every count of a window's quality once; rows of docs/metrics.md come from here."""

from typing import Final, NamedTuple


class Count(NamedTuple):
    """A count by its name, with what it counts."""

    name: str
    meaning: str


ACCEPTED: Final = (
    Count(
        "late",
        "records that came behind what was folded: up to 2 s late they are in the windows, later "
        "ones only counted",
    ),
    Count(
        "late_gap",
        "declared gaps that end where records were folded already: they only cut the windows",
    ),
    Count("duplicate", "records with the stamp and `seq` of one already seen"),
    Count(
        "unnumbered",
        "records without `seq`: order inside a stamp is a guess, and equal ones merge in Redis",
    ),
    Count(
        "stamp_mismatch",
        "records whose `timestamp` is over 1 ms off their score; the score wins",
    ),
    Count(
        "unknown_aggressor",
        "trades whose `aggressor` is neither `buy`, `sell` (in any letter case) nor null; counted "
        "as null",
    ),
    Count("crossed", "quotes whose bid is above their ask"),
    Count("locked", "quotes whose bid is their ask"),
    Count("one_sided", "quotes with a side of size 0"),
)
"""Oddities of records that are folded."""

REJECTED: Final = (
    Count("not_json", "is no JSON object"),
    Count(
        "missing_number",
        "lacks a size, or a price on a side with size, or holds something that is no number",
    ),
    Count("boolean_number", "holds true or false for a number"),
    Count("not_finite", "holds an infinite number or NaN"),
    Count("negative_size", "has a size below 0"),
    Count(
        "non_positive_price",
        "has a price of 0 or below on a side with size, or of a print",
    ),
    Count("out_of_range", "has a price above 9·10¹⁰, or a size too great to be kept exactly"),
    Count(
        "inexact_price",
        "has a price with more digits than the ticker's price unit can be made to hold",
    ),
    Count("zero_size", "is a print of size 0"),
    Count("too_long", "is over 4 KiB"),
    Count("malformed_gap", "declares a gap, but is no JSON object with a number `from`"),
    Count("empty_gap", "declares a gap that does not end after its `from`"),
    Count("long_gap", "declares a gap of over 24 h"),
    Count("future_gap", "declares a gap that ends over 5 s ahead of the clock"),
)
"""Why a record or a declared gap is left out; together they are `rejected`."""

NOW: Final = (
    Count(
        "ahead",
        "records stamped over 5 s ahead of the clock; they become ordinary when their time comes",
    ),
    Count(
        "behind_seconds",
        "seconds of records that a tick had no time for; the next ones fold them",
    ),
    Count(
        "seconds_not_ms",
        "records with a score below 10¹², which can't be milliseconds; left out, named by "
        "`orderflow ask` and `orderflow status`, and trimmed like the others",
    ),
    Count(
        "not_ms",
        "records with a score above 10¹⁴, which can't be milliseconds but micro- or nanoseconds; "
        "treated likewise",
    ),
    Count(
        "wrong_type",
        "how many of the broker's keys of the ticker are not sorted sets; they are left alone "
        "and nothing is read from them",
    ),
)
"""What is true of the keys at the tick, whatever the window."""

REJECTED_TOTAL: Final = "rejected"
ACCEPTED_NAMES: Final = frozenset(row.name for row in ACCEPTED)
REJECTED_NAMES: Final = tuple(row.name for row in REJECTED)
NOW_NAMES: Final = frozenset(row.name for row in NOW)
MIS_STAMPED_NAMES: Final = ("seconds_not_ms", "not_ms")
"""Those of `NOW` that are rejected records, too low and too high; totals count each one once."""
QUALITY_COUNTS: Final = frozenset(
    {REJECTED_TOTAL, *(row.name for row in (*ACCEPTED, *REJECTED, *NOW))}
)
