"""The command `orderflow`: the commands of `app.cli`, and `mcp`, which starts the MCP server.

A module of its own, since `app` does not import `mcp_app`. It works in any directory and with any
PYTHONPATH: other projects have packages of the same names (`app`, `tasks`, `mcp`), and clients
start the server in their folders.
"""

import os
import sys
from pathlib import Path

_HOME = str(Path(__file__).resolve().parent)
_THEIRS = {os.path.realpath(path) for path in os.environ.get("PYTHONPATH", "").split(os.pathsep)}

# What PYTHONPATH names comes last.
sys.path.sort(key=lambda path: os.path.realpath(path) in _THEIRS)
sys.path.insert(0, _HOME)
try:
    # Once these are imported, their modules are found in their own folders.
    import click

    import mcp_app  # noqa: F401
    from app.cli import COMMANDS, HELP, LazyGroup
finally:
    sys.path.remove(_HOME)

main = LazyGroup({**COMMANDS, "mcp": "mcp_app.command:main"}, name="orderflow", help=HELP)
click.version_option(package_name="orderflow", message="%(package)s %(version)s")(main)

if __name__ == "__main__":
    main()
