"""Let the process open as many files as its connections need."""

import resource

import structlog

# Redis, logs, and what Python and the libraries hold open.
OTHER_FILES = 200

_log = structlog.get_logger()


def allow_connections(number: int) -> None:
    """Raise the limit of open files where it is below what so many connections need.

    Above that limit the server could accept no connection at all, from anybody.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = number + OTHER_FILES
    if soft == resource.RLIM_INFINITY or soft >= needed:
        return
    is_enough = hard == resource.RLIM_INFINITY or hard >= needed
    resource.setrlimit(resource.RLIMIT_NOFILE, (needed if is_enough else hard, hard))
    if not is_enough:
        _log.warning(
            "too few open files allowed for ORDERFLOW_MCP_CONNECTIONS", allowed=hard, needed=needed
        )
