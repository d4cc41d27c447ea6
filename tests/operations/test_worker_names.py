"""Workers of one host have names that celery-exporter tells apart: by what is after the `@`."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from celery.utils.nodenames import host_format, nodesplit

from app.core.settings import Settings
from app.operations.feed_setting import read_feed_setting
from app.operations.supervisor import programs
from tests.contract.documents import text_of

ROOT = Path(__file__).parents[2]
NAME = re.compile(r" -n (\S+)")


def of_make_run() -> Iterator[str]:
    for program in programs(Settings(), read_feed_setting("none")):
        yield from NAME.findall(" ".join(program.command))


def of_the_procfile() -> Iterator[str]:
    [name] = NAME.findall((ROOT / "Procfile").read_text())
    for number in (1, 2):
        yield name.replace("${HONCHO_PROCESS_NAME:-worker}", f"worker.{number}")


def of_systemd() -> Iterator[str]:
    [name] = NAME.findall(text_of("docs/operations.md"))
    for instance in (1, 2):
        yield name.replace("%i", str(instance)).replace("%H", "%h")


@pytest.mark.parametrize("names", [of_make_run, of_the_procfile, of_systemd])
def test_no_two_workers_have_one_name_after_the_at_sign(names: Callable[[], Iterator[str]]) -> None:
    hosts = [nodesplit(host_format(name, host="here"))[1] for name in names()]

    assert len(hosts) >= 2
    assert len(set(hosts)) == len(hosts)
    assert all(host.endswith(".here") for host in hosts)
