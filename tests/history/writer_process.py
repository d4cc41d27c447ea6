"""A writer of the history in a process of its own, which goes by the time that it is told.

Reads a time in epoch ms a line from stdin, does what is due then, and answers with a line.
"""

import sys
from pathlib import Path

from app.core.settings import Settings
from app.history.folder import HistoryFolder
from app.history.writer import HistoryWriter
from app.storage.redis_client import connect


def main() -> None:
    """Run until stdin ends."""
    config = Settings()
    now = 0.0
    writer = HistoryWriter(HistoryFolder(Path(sys.argv[1])), connect(config), config, lambda: now)
    for line in sys.stdin:
        now = float(line)
        writer.step()
        print("done", flush=True)  # noqa: T201 - the answer


if __name__ == "__main__":
    main()
