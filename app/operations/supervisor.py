"""Everything at once, in the foreground: `make run`, `orderflow up`.

Honcho, which the Procfile is for, starts no process again; supervisor and circus do, and want a
daemon, a control socket and configuration files for what are eight processes until Ctrl-C.
"""

import asyncio
import itertools
import os
import shlex
import signal
import socket
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import click
import redis

from app.core import clock
from app.core.bind_policy import check_flower, tokens_for
from app.core.errors import SettingError
from app.core.settings import Settings, settings
from app.operations import embedded_redis
from app.operations.die_with_parent import die_with
from app.operations.managed_process import ManagedProcess, Program
from app.storage.keys import Keys
from app.storage.redis_client import address_of, connect

ROOT = Path(__file__).parents[2]
STOP_SECONDS = 3.0
REDIS_START_SECONDS = 10.0
CAUGHT_UP_EACH_SECONDS = 0.5
_COLOURS = ("cyan", "yellow", "green", "magenta", "blue", "bright_cyan", "bright_yellow")
_FIRST_TICKER = "SPY"
_OWN_NAME = "orderflow"


def _python(*arguments: str) -> tuple[str, ...]:
    return (sys.executable, "-m", *arguments)


def _celery(*arguments: str) -> tuple[str, ...]:
    """Quiet: banners of twenty lines a process would push the addresses off the screen."""
    return _python("celery", "--quiet", "-A", "tasks", *arguments)


def _worker(number: int) -> Program:
    command = _celery("worker", "-P", "solo", "-n", f"worker{number}@%h")
    quick = ("--without-gossip", "--without-mingle")  # mingling makes each start a second longer
    return Program(f"worker.{number}", (*command, *quick), {"ORDERFLOW_SHARD": str(number - 1)})


def feed(given: str) -> list[Program]:
    """Describe the feed that ORDERFLOW_FEED asks for: `simulate`, `none`, or tapes to replay."""
    if given == "none":
        return []
    words = ["simulate"] if given == "simulate" else ["replay", *shlex.split(given), "--loop"]
    return [Program("feed", _python("app", "feed", *words))]


def programs(config: Settings) -> list[Program]:
    """List what runs besides Redis."""
    web = ("--http", "--host", config.mcp_host, "--port", str(config.mcp_port))
    return [
        Program("beat", _celery("beat")),
        *(_worker(number) for number in range(1, config.workers + 1)),
        *feed(config.feed),
        Program("flower", _celery("flower", "--logging=error")),
        Program("mcp", _python("mcp_app", *web)),
    ]


def _is_free(host: str, port: int) -> bool:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host, port))
            listener.listen()
        except OSError:
            return False
    return True


def taken_ports(config: Settings) -> Iterator[str]:
    """Say of each port that is taken which variable changes it."""
    wanted = [
        ("MCP", config.mcp_host, config.mcp_port, "ORDERFLOW_MCP_PORT"),
        ("Flower", config.flower_host, config.flower_port, "ORDERFLOW_FLOWER_PORT"),
    ]
    if not embedded_redis.is_given(config):
        wanted.append(("Redis", "127.0.0.1", config.redis_port, "REDIS_PORT"))
    for what, host, port, variable in wanted:
        if not _is_free(host, port):
            yield f"port {port} for {what} is taken; {variable} sets another one"


class Printer:
    """Lines of many processes on one screen, each after its process's name."""

    def __init__(self, names: Iterable[str]) -> None:
        self._width = max(map(len, names))
        self._colours = dict(zip(names, itertools.cycle(_COLOURS), strict=False))

    def say(self, name: str, line: str) -> None:
        """Print a line; click drops the colour where stdout is no terminal."""
        start = click.style(f"{name:<{self._width}} |", fg=self._colours.get(name))
        try:
            click.echo(f"{start} {line}")
        except OSError:  # who read this is gone: end as if the terminal had been closed
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            signal.raise_signal(signal.SIGHUP)


def _question(config: Settings) -> str:
    """Return the line that asks a first question, with the settings that another shell lacks.

    Those that may hold a password are named only.
    """
    ask = Path(sys.executable).parent / "orderflow"
    shown = ask.relative_to(Path.cwd()) if ask.is_relative_to(Path.cwd()) else ask
    needed = {
        "REDIS_URL": config.redis_url_given and "…",
        "REDIS_HOST": config.redis_host,
        "REDIS_PORT": config.redis_port,
        "REDIS_DB": config.redis_db,
        "REDIS_PASSWORD": config.redis_password and "…",
    }
    usual = {"REDIS_HOST": "127.0.0.1", "REDIS_PORT": 6379, "REDIS_DB": 0}
    given = [f"{name}={value}" for name, value in needed.items() if value != usual.get(name)]
    return " ".join((*given, str(shown), "ask", _FIRST_TICKER))


def _where(config: Settings) -> tuple[str, ...]:
    own = "given" if embedded_redis.is_given(config) else "embedded"
    return (
        f"  Redis   {address_of(connect(config))} ({own})",
        f"  MCP     http://{config.mcp_host}:{config.mcp_port}/mcp",
        f"  Flower  http://{config.flower_host}:{config.flower_port}",
        f"  ask     {_question(config)}",
        "  end     Ctrl-C",
    )


class Supervisor:
    """All processes of a run, and the request to end them."""

    def __init__(self, config: Settings, directory: Path) -> None:
        self._config = config
        own = [] if embedded_redis.is_given(config) else [embedded_redis.server(config, directory)]
        rest = programs(config)
        self._printer = Printer([_OWN_NAME, *(program.name for program in own + rest)])
        self._own = [ManagedProcess(program, self._printer.say) for program in own]
        self._rest = [ManagedProcess(program, self._printer.say) for program in rest]
        self._stop = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    def say(self, line: str) -> None:
        """Print a line of the supervisor's own."""
        self._printer.say(_OWN_NAME, line)

    async def run(self) -> None:
        """Start everything, keep it running, and end it on Ctrl-C, SIGTERM or SIGHUP."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, self._asked_to_stop)
        try:
            self._keep(self._own)
            await self._redis_answers()
            self._keep(self._rest)
            for line in _where(self._config):
                self.say(line)
            self._tasks.append(asyncio.create_task(self._say_when_caught_up()))
            await self._stop.wait()
        finally:
            await self._end()

    def _asked_to_stop(self) -> None:
        if self._stop.is_set():  # asked twice: at once, then
            self._signal(signal.SIGKILL, self._rest + self._own)
        self._stop.set()

    def _keep(self, some: list[ManagedProcess]) -> None:
        if not self._stop.is_set():
            self._tasks += [asyncio.create_task(one.keep_running()) for one in some]

    async def _redis_answers(self) -> None:
        """Wait for Redis, so that the first screen isn't full of its absence."""
        deadline = time.monotonic() + REDIS_START_SECONDS
        client = connect(self._config, timeout_seconds=0.5)
        while self._own and not self._stop.is_set() and time.monotonic() < deadline:
            with suppress(redis.RedisError):
                client.ping()
                return
            await asyncio.sleep(0.05)

    async def _say_when_caught_up(self) -> None:
        """Say once that the simulation's past is folded: until then it is early."""
        if self._config.feed != "simulate":
            return
        # `Any`: redis-py's annotations promise an awaitable beside every answer.
        client: Any = connect(self._config, timeout_seconds=0.5)
        key = Keys(cluster=self._config.cluster).metrics(_FIRST_TICKER, "10s")
        oldest_ms = 3 * self._config.interval_ms
        while True:
            with suppress(redis.RedisError):
                as_of = client.hget(key, "as_of")
                if as_of is not None and clock.now_ms() - float(as_of) <= oldest_ms:
                    break
            await asyncio.sleep(CAUGHT_UP_EACH_SECONDS)
        self.say(f"{_FIRST_TICKER} is up to date: {_question(self._config)}")

    async def _end(self) -> None:
        """End all within 3 s: Redis last, so that nobody complains of its absence meanwhile."""
        self.say("ending")
        for task in self._tasks:
            task.cancel()
        deadline = time.monotonic() + STOP_SECONDS
        for some in (self._rest, self._own):
            self._signal(signal.SIGTERM, some)
            await _all_ended(some, deadline - time.monotonic() - bool(some is self._rest))
        self._signal(signal.SIGKILL, self._rest + self._own)
        await _all_ended(self._rest + self._own, 1.0)

    @staticmethod
    def _signal(number: int, some: Iterable[ManagedProcess]) -> None:
        for one in some:
            one.signal(number)


async def _all_ended(some: Iterable[ManagedProcess], seconds: float) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await asyncio.gather(*(one.ended() for one in some))


@click.command()
@click.option("--end-with-parent", is_flag=True, help="End as soon as the calling process dies.")
def main(*, end_with_parent: bool) -> None:
    """Run everything in the foreground: Redis, feed, beat, workers, Flower and the MCP server."""
    if end_with_parent:
        die_with(os.getppid(), signal.SIGTERM)
    config = settings()
    try:
        tokens_for(config, config.mcp_host)
        check_flower(config.flower_host, has_credentials="FLOWER_BASIC_AUTH" in os.environ)
    except SettingError as error:  # else each would be started, and refuse, again and again
        sys.exit(f"orderflow: {error}")
    if taken := list(taken_ports(config)):
        sys.exit("\n".join(f"orderflow: {line}" for line in taken))
    os.chdir(ROOT)
    with tempfile.TemporaryDirectory(prefix="orderflow-") as directory:
        asyncio.run(Supervisor(config, Path(directory)).run())


if __name__ == "__main__":
    main()
