"""The shipped server where 300 open files are allowed: `python -m … --http --port PORT`."""

import resource

from mcp_app.__main__ import main

if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_NOFILE, (250, 300))
    main()
