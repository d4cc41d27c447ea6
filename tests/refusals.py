"""States of a real server in which it refuses commands, and their ends."""

import os
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
import redis

from tests.processes import wait_until

NOBODY = 1
"""A port that no server listens on."""


@dataclass(frozen=True)
class Refusal:
    """A state of a server in which it refuses, and how it is brought about and ended."""

    codes: tuple[str, ...]
    begin: Callable[["Server"], object]
    end: Callable[["Server"], object]


class Server:
    """A server, its folder, and a client that tries once."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.loading: threading.Thread | None = None
        self.client = redis.Redis(port=port, retry=None)
        kept = self.client.config_get("dir", "dbfilename")
        self.dump = Path(kept["dir"]) / kept["dbfilename"]

    def set(self, **options: object) -> None:
        """Set options of the server."""
        for name, value in options.items():
            self.client.config_set(name.replace("_", "-"), str(value))


def follow(server: Server) -> None:
    server.client.replicaof("127.0.0.1", NOBODY)


def lead(server: Server) -> None:
    server.client.replicaof("NO", "ONE")


def fail_to_save(server: Server) -> None:
    """Let a save fail: a folder is in its place."""
    server.dump.mkdir()
    server.set(save="3600 100000")
    server.client.bgsave()
    wait_until(
        lambda: server.client.info("persistence")["rdb_last_bgsave_status"] == "err", "it fails", 20
    )


def save(server: Server) -> None:
    server.dump.rmdir()
    server.client.bgsave()
    wait_until(
        lambda: server.client.info("persistence")["rdb_last_bgsave_status"] == "ok",
        "it is saved",
        20,
    )
    server.set(save="")


def follow_and_say_nothing(server: Server) -> None:
    server.set(replica_serve_stale_data="no")
    follow(server)


def lead_and_speak(server: Server) -> None:
    lead(server)
    server.set(replica_serve_stale_data="yes")


def run_a_script(server: Server) -> None:
    """Let a script run without end; the server says so after 100 ms."""
    server.set(busy_reply_threshold=100)
    endless = redis.Redis(port=server.port, retry=None, socket_timeout=0.2)
    with pytest.raises(redis.TimeoutError):
        endless.eval("while true do end", 0)


def load(server: Server) -> None:
    """Let the server load its data for some seconds, with commands in between."""
    for number in range(300):
        server.client.set(f"filler:{number}", os.urandom(600))
    server.set(loading_process_events_interval_bytes=1024, key_load_delay=20_000)
    server.loading = threading.Thread(target=reload_data, args=[server])
    server.loading.start()


def reload_data(server: Server) -> None:
    with redis.Redis(port=server.port, socket_timeout=60.0) as client:
        client.execute_command("DEBUG", "RELOAD")


def await_loaded(server: Server) -> None:
    assert server.loading is not None
    server.loading.join()
    server.set(key_load_delay=0)


def kill_script(server: Server) -> None:
    server.client.script_kill()
    wait_until(lambda: answers(server), "the script has ended", 20)


def answers(server: Server) -> bool:
    with suppress(redis.ResponseError):
        return bool(server.client.ping())
    return False


REFUSALS = {
    "READONLY": Refusal(("READONLY",), follow, lead),
    "MISCONF": Refusal(("MISCONF",), fail_to_save, save),
    "NOREPLICAS": Refusal(
        ("NOREPLICAS",),
        lambda server: server.set(min_replicas_to_write=1),
        lambda server: server.set(min_replicas_to_write=0),
    ),
    "OOM": Refusal(
        ("OOM",),
        lambda server: server.set(maxmemory_policy="noeviction", maxmemory="1mb"),
        lambda server: server.set(maxmemory="0"),
    ),
    # Writes are refused as by any replica, all else as by one without its master.
    "MASTERDOWN": Refusal(("MASTERDOWN", "READONLY"), follow_and_say_nothing, lead_and_speak),
    "LOADING": Refusal(("LOADING",), load, await_loaded),
    "BUSY": Refusal(("BUSY",), run_a_script, kill_script),
}
