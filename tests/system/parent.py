"""Stand in for make: start the supervisor as the Makefile does, and wait."""

import subprocess
import sys

if __name__ == "__main__":
    subprocess.call([sys.executable, "-m", "app.operations.supervisor", "--end-with-parent"])
