"""Run all processes in the foreground: `make run`.

Honcho, which runs the Procfile, restarts no process; supervisor and circus do, but need a daemon,
a control socket and configuration files.
"""

import asyncio
import os
import signal
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import click
import redis

from app.core import clock
from app.core.bind_policy import bearer_tokens_for, check_flower
from app.core.errors import FeedRefused, SettingError
from app.core.loopback import has_address, listening_error, loopback
from app.core.redis_url import bracketed
from app.core.settings import Settings, settings
from app.feeds.live.sources import REFUSED_EXIT_CODE
from app.history.command import NOT_NEEDED_EXIT_CODE
from app.operations import embedded_redis
from app.operations.die_with_parent import die_with
from app.operations.feed_setting import FeedSetting, from_lists, read_feed_setting
from app.operations.managed_process import UNTUNED_ENVIRONMENT, ManagedProcess, Program
from app.operations.printer import Printer
from app.storage.keys import Keys
from app.storage.redis_client import address_of, connect

ROOT = Path(__file__).parents[2]
DEFAULT_HISTORY = ROOT / "var" / "history"
STOP_SECONDS = 3.0
REDIS_START_SECONDS = 10.0
UP_TO_DATE_POLL_SECONDS = 0.5
TRIAL_SECONDS = 60.0
_OWN_NAME = "orderflow"


def _python(*arguments: str) -> tuple[str, ...]:
    return (sys.executable, "-m", *arguments)


def _celery(*arguments: str) -> tuple[str, ...]:
    """Return a Celery command without its banner, which would scroll the addresses away."""
    return _python("celery", "--quiet", "-A", "tasks", *arguments)


def _worker(number: int) -> Program:
    command = _celery("worker", "-P", "solo", "-n", f"celery@worker{number}.%h")
    quick = ("--without-gossip", "--without-mingle")  # mingling delays each start by a second
    return Program(f"worker.{number}", (*command, *quick), {"ORDERFLOW_SHARD": str(number - 1)})


def feeds(setting: FeedSetting) -> list[Program]:
    """Return the programs of the feeds, if any."""
    several = len(setting.feeds) > 1
    return [
        Program(
            f"feed.{number}" if several else "feed",
            _python("app", "feed", *arguments),
            UNTUNED_ENVIRONMENT if arguments[0] == "live" else {},
            final_code=REFUSED_EXIT_CODE,
        )
        for number, arguments in enumerate(setting.feeds, 1)
    ]


def histories(config: Settings) -> list[Program]:
    """Return the program that writes the history, if one is kept."""
    if config.history is None or not _has_pyarrow():
        return []
    command = _python("app", "history")
    return [Program("history", command, final_code=NOT_NEEDED_EXIT_CODE, is_optional=True)]


def _has_pyarrow() -> bool:
    return find_spec("pyarrow") is not None


def use_history_by_default(config: Settings) -> Settings:
    """Return the settings with a folder for the history, also for the processes to be started."""
    if config.history_given is None:
        folder = DEFAULT_HISTORY
        with suppress(OSError):  # the writer says what is wrong with it
            folder.parent.mkdir(exist_ok=True)
        os.environ["ORDERFLOW_HISTORY"] = str(folder)
        return config.model_copy(update={"history_given": str(folder)})
    if config.history is not None:  # the processes run in the project's folder
        os.environ["ORDERFLOW_HISTORY"] = str(config.history.absolute())
    return config


def _history_line(config: Settings) -> str:
    if config.history is None:
        return "none is kept (ORDERFLOW_HISTORY=off)"
    if not _has_pyarrow():
        return "none is kept: it needs pyarrow, pip install 'orderflow[history]'"
    bounds = f"{config.history_days} days, at most {config.history_mb} MB"
    return f"{config.history} ({bounds}; ORDERFLOW_HISTORY=off keeps none)"


def programs(config: Settings, fed: FeedSetting) -> list[Program]:
    """Return the programs to run besides Redis."""
    web = ("--http", "--host", config.mcp_host, "--port", str(config.mcp_port))
    return [
        Program("beat", _celery("beat")),
        *(_worker(number) for number in range(1, config.workers + 1)),
        *feeds(fed),
        *histories(config),
        Program("flower", _celery("flower", "--logging=error")),
        Program("mcp", _python("mcp_app", *web), UNTUNED_ENVIRONMENT),
    ]


def busy_ports(config: Settings) -> Iterator[str]:
    """Yield a line for each port in use, with its variable, and address of another machine."""
    wanted = [
        ("MCP", config.mcp_host, config.mcp_port, "ORDERFLOW_MCP_PORT"),
        ("Flower", config.flower_host, config.flower_port, "ORDERFLOW_FLOWER_PORT"),
    ]
    if not embedded_redis.is_redis_configured(config):
        wanted.append(("Redis", config.redis_host, config.redis_port, "REDIS_PORT"))
    for what, host, port, variable in wanted:
        if not has_address(host):
            yield f"this machine has no address {host} for {what}; {variable[:-4]}HOST sets another"
        elif listening_error(host, port) is not None:
            yield f"port {port} for {what} is taken; {variable} sets another one"


def _ask_command(config: Settings, ticker: str) -> str:
    """Return a command for a first question, with the settings that differ from the defaults.

    Values that may hold a password are not printed.
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
    defaults = {"REDIS_HOST": loopback(), "REDIS_PORT": 6379, "REDIS_DB": 0}
    given = [f"{name}={value}" for name, value in needed.items() if value != defaults.get(name)]
    return " ".join((*given, str(shown), "ask", ticker))


def _address_lines(config: Settings, fed: FeedSetting) -> tuple[str, ...]:
    own = "given" if embedded_redis.is_redis_configured(config) else "embedded"
    served = f"http://{bracketed(config.mcp_host)}:{config.mcp_port}"
    return (
        f"  desk    {served}/",
        f"  Redis   {address_of(connect(config))} ({own})",
        f"  MCP     {served}/mcp",
        f"  Flower  http://{bracketed(config.flower_host)}:{config.flower_port}",
        f"  history {_history_line(config)}",
        f"  ask     {_ask_command(config, fed.first_ticker or 'TICKER')}",
        "  end     Ctrl-C",
    )


class Supervisor:
    """Runs all processes until it is asked to stop."""

    def __init__(self, config: Settings, fed: FeedSetting, directory: Path) -> None:
        self._config, self._fed = config, fed
        own = (
            []
            if embedded_redis.is_redis_configured(config)
            else [embedded_redis.server_program(config, directory)]
        )
        rest = programs(config, fed)
        self._printer = Printer([program.name for program in own + rest], _OWN_NAME)
        self._redis_processes = [
            ManagedProcess(program, self._printer.print_line) for program in own
        ]
        self._other_processes = [
            ManagedProcess(program, self._printer.print_line) for program in rest
        ]
        self._stop = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._started_at = time.monotonic()
        self.exit_code = 0

    def print_line(self, line: str) -> None:
        """Print a line under the supervisor's own name."""
        self._printer.print_line(_OWN_NAME, line)

    async def run(self) -> None:
        """Start all processes, restart those that exit, stop all on Ctrl-C, SIGTERM or SIGHUP."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, self._request_stop)
        try:
            self._keep_running(self._redis_processes)
            await self._wait_for_redis()
            self._keep_running(self._other_processes)
            for line in _address_lines(self._config, self._fed):
                self.print_line(line)
            self._tasks.append(asyncio.create_task(self._report_when_up_to_date()))
            await self._stop.wait()
        finally:
            await self._stop_all()

    def _request_stop(self) -> None:
        if self._stop.is_set():  # a second request stops at once
            self._signal(signal.SIGKILL, self._other_processes + self._redis_processes)
        self._stop.set()

    def _keep_running(self, some: list[ManagedProcess]) -> None:
        if not self._stop.is_set():
            self._tasks += [asyncio.create_task(self._keep_one(one)) for one in some]

    async def _keep_one(self, one: ManagedProcess) -> None:
        """Keep a process running; end all if it has no use, unless all had run for a while.

        What was refused at the start is a wrong setting; what is refused later, such as a key that
        expired, does not take the other feeds away.
        """
        await one.keep_running()
        if one.program.is_optional:
            return
        if time.monotonic() - self._started_at < TRIAL_SECONDS:
            self.print_line(f"{one.program.name} can't run: {one.last_line}")
            self.exit_code = one.program.final_code or 1
            self._stop.set()

    async def _wait_for_redis(self) -> None:
        """Wait until Redis answers, so that the other processes log no failed connections."""
        deadline = time.monotonic() + REDIS_START_SECONDS
        client = connect(self._config, timeout_seconds=0.5)
        while self._redis_processes and not self._stop.is_set() and time.monotonic() < deadline:
            with suppress(redis.RedisError):
                client.ping()
                return
            await asyncio.sleep(0.05)

    async def _report_when_up_to_date(self) -> None:
        """Print a line once the first ticker that is fed has been analysed up to now."""
        ticker = self._fed.first_ticker
        if ticker is None:
            return
        # `Any`: redis-py's return types include an awaitable.
        client: Any = connect(self._config, timeout_seconds=0.5)
        key = Keys(cluster=self._config.cluster).metrics(ticker, "10s")
        oldest_ms = 3 * self._config.interval_ms
        while True:
            with suppress(redis.RedisError):
                as_of = client.hget(key, "as_of")
                if as_of is not None and clock.now_ms() - float(as_of) <= oldest_ms:
                    break
            await asyncio.sleep(UP_TO_DATE_POLL_SECONDS)
        self.print_line(f"{ticker} is up to date: {_ask_command(self._config, ticker)}")

    async def _stop_all(self) -> None:
        """Stop all within 3 s, Redis last, so that the others log no failed connections."""
        self.print_line("ending")
        for task in self._tasks:
            task.cancel()
        deadline = time.monotonic() + STOP_SECONDS
        for some in (self._other_processes, self._redis_processes):
            self._signal(signal.SIGTERM, some)
            await _wait_for_exit(
                some, deadline - time.monotonic() - bool(some is self._other_processes)
            )
        self._signal(signal.SIGKILL, self._other_processes + self._redis_processes)
        await _wait_for_exit(self._other_processes + self._redis_processes, 1.0)
        self._printer.close()

    @staticmethod
    def _signal(number: int, some: Iterable[ManagedProcess]) -> None:
        for one in some:
            one.signal(number)


async def _wait_for_exit(some: Iterable[ManagedProcess], seconds: float) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await asyncio.gather(*(one.wait_for_exit() for one in some))


def _own_directory(stack: ExitStack) -> Path:
    """Return a directory for Redis, which writes nothing there unless a client asks for it."""
    try:
        return Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="orderflow-")))
    except OSError:  # the disk is full
        return ROOT


@click.command()
@click.option("--end-with-parent", is_flag=True, help="End as soon as the calling process dies.")
def main(*, end_with_parent: bool) -> None:
    """Run everything in the foreground: Redis, feed, beat, workers, Flower and the MCP server."""
    if end_with_parent:
        die_with(os.getppid(), signal.SIGTERM)
    config = use_history_by_default(settings())
    try:
        bearer_tokens_for(config, config.mcp_host)
        check_flower(config.flower_host, has_credentials="FLOWER_BASIC_AUTH" in os.environ)
        fed = read_feed_setting(config.feed, from_lists(config.feed_url))
    except SettingError as error:  # otherwise processes would exit and restart for ever
        sys.exit(f"orderflow: {error}")
    except FeedRefused as error:
        click.echo(f"orderflow: {error}", err=True)
        sys.exit(REFUSED_EXIT_CODE)
    if taken := list(busy_ports(config)):
        sys.exit("\n".join(f"orderflow: {line}" for line in taken))
    os.chdir(ROOT)
    with ExitStack() as stack:
        supervisor = Supervisor(config, fed, _own_directory(stack))
        asyncio.run(supervisor.run())
    sys.exit(supervisor.exit_code)


if __name__ == "__main__":
    main()
