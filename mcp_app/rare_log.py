"""Log what clients cause: once a minute for each kind, cut and escaped."""

import structlog

from app.core.rare_events import OncePerMinute, shown

_log = structlog.get_logger()

_refusals = OncePerMinute()


def warn_refused(kind: str, text: str) -> None:
    """Log that a client's text was refused, at most once a minute for each kind."""
    left_out = _refusals.left_out(kind)
    if left_out is not None:
        _log.warning(kind, value=shown(text), not_logged_since=left_out)
