"""Hosts made of network namespaces: one for the data, others for workers, wired to one bridge."""

import os
import shutil
import subprocess
from contextlib import ExitStack
from itertools import count
from pathlib import Path
from string import ascii_lowercase
from typing import Self

TIMEOUT_SECONDS = 60.0
_number = count()
DATA = "data"


class NotAllowed(Exception):
    """Raised where this machine allows no network namespaces."""


def _ip(*arguments: str) -> None:
    tool = shutil.which("ip", path=f"{os.environ.get('PATH', '')}:/sbin:/usr/sbin")
    if tool is None:
        raise NotAllowed("there is no `ip`")
    done = subprocess.run(
        [tool, *arguments], capture_output=True, text=True, timeout=TIMEOUT_SECONDS, check=False
    )
    if done.returncode:
        raise NotAllowed(f"ip {' '.join(arguments)}: {done.stderr.strip()}")


class Hosts:
    """A data host with a bridge, and hosts beside it; ours is wired to the bridge as well.

    Addresses are of 198.18.0.0/15, which is set aside for such tests.
    """

    def __init__(self, *names: str) -> None:
        self._names = names
        # The kernel takes its time to forget a host: the next one must not bear its name.
        self._mark = f"of{os.getpid() % 10_000}{ascii_lowercase[next(_number) % 26]}"
        self._subnet = f"198.18.{os.getpid() % 250}"
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        try:
            self._make()
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def _make(self) -> None:
        self._add(DATA)
        self._inside(DATA, "link", "add", "bridge", "type", "bridge")
        self._address(DATA, "bridge", self.address(DATA))
        for number, name in enumerate(self._names):
            self._add(name)
            self._wire(number, "link", "set", self._end(number), "netns", self._space(name))
            self._address(name, self._end(number), self.address(name))
        ours = len(self._names)
        self._wire(ours)
        _ip("address", "add", f"{self._subnet}.254/24", "dev", self._end(ours))
        _ip("link", "set", self._end(ours), "up")

    def address(self, name: str) -> str:
        """Return a host's address."""
        return f"{self._subnet}.{1 if name == DATA else 2 + self._names.index(name)}"

    def command(self, name: str, *command: str) -> list[str]:
        """Return what runs a command on a host."""
        return ["ip", "netns", "exec", self._space(name), *command]

    def cut_off(self, name: str) -> None:
        """Pull a host's cable."""
        self._inside(DATA, "link", "set", self._port(self._names.index(name)), "down")

    def connect_again(self, name: str) -> None:
        """Plug it in again."""
        self._inside(DATA, "link", "set", self._port(self._names.index(name)), "up")

    def _space(self, name: str) -> str:
        return f"{self._mark}-{name}"

    def _end(self, number: int) -> str:
        return f"{self._mark}e{number}"

    @staticmethod
    def _port(number: int) -> str:
        return f"port{number}"

    def _add(self, name: str) -> None:
        space = self._space(name)
        _ip("netns", "add", space)
        self._stack.callback(_ip, "netns", "del", space)
        self._inside(name, "link", "set", "lo", "up")

    def _wire(self, number: int, *then: str) -> None:
        """Lay a cable from the bridge; its free end is ours, or goes where `then` puts it."""
        end, port = self._end(number), f"{self._mark}p{number}"
        _ip("link", "add", end, "type", "veth", "peer", "name", port)
        _ip("link", "set", port, "netns", self._space(DATA))
        self._inside(DATA, "link", "set", port, "name", self._port(number), "master", "bridge")
        self._inside(DATA, "link", "set", self._port(number), "up")
        if then:
            _ip(*then)

    def _address(self, name: str, device: str, address: str) -> None:
        self._inside(name, "address", "add", f"{address}/24", "dev", device)
        self._inside(name, "link", "set", device, "up")

    def _inside(self, name: str, *arguments: str) -> None:
        _ip("-n", self._space(name), *arguments)


def is_possible() -> str:
    """Return why hosts can't be made here, "" where they can."""
    if not Path("/proc/self/ns/net").exists():
        return "this system has no network namespaces"
    try:
        with Hosts():
            return ""
    except NotAllowed as error:
        return str(error)
