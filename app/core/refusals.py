"""What a Redis that answers refuses, by the code of its error: one sentence for each."""

import re
from collections.abc import Iterator

from redis import exceptions

REFUSALS = {
    "READONLY": "is a read-only replica: it takes writes once it is promoted",
    "MISCONF": "refuses writes: its last save failed, see its log and its disk",
    "NOREPLICAS": "refuses writes: too few of its replicas are connected",
    "OOM": "refuses writes: its memory is full",
    "LOADING": "is still loading its data: wait some seconds",
    "MASTERDOWN": "is a replica that lost its master and answers nothing meanwhile",
    "CLUSTERDOWN": "belongs to a cluster that is down",
    "BUSY": "is busy with a script",
}
"""What a Redis is, or does, that sends an error of this code for whatever it is asked."""

NO_DATABASE = "DB index is out of range"
"""Redis's error, which has no code of its own, where a connection selects a database too high."""

# A pipeline puts its command before an error, and a script of Redis 6 its place.
_CODE = re.compile(rf"(?:^|error: |-)({'|'.join((*REFUSALS, 'UNBLOCKED'))})\b")

UNREACHABLE = (
    exceptions.ConnectionError,
    exceptions.TimeoutError,
    exceptions.RedisClusterException,
)
"""Errors that mean that no server could be asked."""


def refusal_code(error: BaseException) -> str | None:
    """Return the code by which Redis refused, also where another error was raised from that one.

    >>> refusal_code(exceptions.ResponseError("MISCONF Errors writing to the AOF file"))
    'MISCONF'
    """
    for one in _chain(error):
        if isinstance(one, exceptions.RedisError):
            if one.status_code in REFUSALS:
                return str(one.status_code)
            found = _CODE.search(str(one))
            if found is not None:
                # What waited for a message is told so when the server becomes a replica.
                return found[1].replace("UNBLOCKED", "READONLY")
    return None


def has_no_database(error: BaseException) -> bool:
    """Return whether the server has no database of the number that was selected."""
    return any(NO_DATABASE in str(one) for one in _chain(error))


def describe_refusal(error: BaseException, database: int | None = None) -> str | None:
    """Return what Redis refuses, with the code; None for another error.

    `database` is the number that is selected, where it is known.

    >>> describe_refusal(exceptions.ResponseError("NOREPLICAS Not enough good replicas to write."))
    'refuses writes: too few of its replicas are connected (NOREPLICAS)'
    """
    if has_no_database(error):
        number = "of that number" if database is None else str(database)
        return f"has no database {number} there: check REDIS_DB, or the number in REDIS_URL"
    code = refusal_code(error)
    return None if code is None else f"{REFUSALS[code]} ({code})"


def is_unavailable(error: BaseException) -> bool:
    """Return whether an error means that Redis as a whole is unavailable, not one command.

    By code, since redis-py has no class for most refusals.
    """
    return (
        isinstance(error, UNREACHABLE) or refusal_code(error) is not None or has_no_database(error)
    )


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an error and those that it was raised from."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
