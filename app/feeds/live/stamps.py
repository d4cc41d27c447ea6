"""Turn a venue's times into epoch milliseconds, to the microsecond."""

from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def stamp_ms(time: datetime) -> float:
    """Return a time in epoch ms, with its microseconds.

    >>> stamp_ms(datetime(2012, 6, 21, 12, 50, 0, 123456, UTC))
    1340283000123.456
    """
    return (time - _EPOCH) // _MICROSECOND / 1000


def stamp_ms_of_ns(nanoseconds: int) -> float:
    """Return a time in epoch ms, to the nearest microsecond.

    >>> stamp_ms_of_ns(1340283000123456789)
    1340283000123.457
    """
    return (nanoseconds + 500) // 1000 / 1000
