"""The shipped server with more time for an answer: `python -m … --http --port PORT`."""

import functools

from mcp_app import deadlines, http
from mcp_app.__main__ import main
from mcp_app.limits import LimitTime

DEADLINE_SECONDS = 15.0

if __name__ == "__main__":
    deadlines.DEADLINE_SECONDS = DEADLINE_SECONDS
    http.LimitTime = functools.partial(LimitTime, seconds=2 * DEADLINE_SECONDS)  # type: ignore[misc,assignment]
    main()
