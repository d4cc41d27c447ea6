"""The MCP server that fault plans run: a request may set its clock.

`python -m tests.faults.web_app --http`. Its machine is another one than the workers': the request
that sets the clocks of all workers is none of its own.
"""

import os
from pathlib import Path

from mcp_app.command import main
from tests.faults import process_clock

if __name__ == "__main__":
    process_clock.follow(Path(os.environ["ORDERFLOW_FAULTS_DIR"]), process_clock.own_request())
    main()
