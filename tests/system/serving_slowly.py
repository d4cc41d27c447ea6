"""The shipped server with more time for an answer: `python -m … --http --port PORT`."""

from mcp_app import deadlines
from mcp_app.__main__ import main

# Below the time that a request has over HTTP.
DEADLINE_SECONDS = 3.5

if __name__ == "__main__":
    deadlines.DEADLINE_SECONDS = DEADLINE_SECONDS
    main()
