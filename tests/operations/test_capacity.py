"""The capacity model: what it prints, and what it must agree with."""

import pytest
from click.testing import CliRunner

from app.operations.capacity import Capacity, Load, capacity


def test_an_hour_of_1500_tickers_at_10_quotes_a_second_keeps_12_gb_of_quotes() -> None:
    with_quotes = Capacity.of(Load(1500, 10)).redis_bytes
    without = Capacity.of(Load(1500, 0)).redis_bytes

    assert (with_quotes - without) / 1e9 == pytest.approx(12, rel=0.03)


def test_twice_the_tickers_need_twice_of_all_but_the_processes_own() -> None:
    one, two = Capacity.of(Load(1000, 10)), Capacity.of(Load(2000, 10))

    assert two.worker_cores == pytest.approx(2 * one.worker_cores)
    assert two.redis_bytes == pytest.approx(2 * one.redis_bytes)
    assert two.commands_a_second == pytest.approx(2 * one.commands_a_second)


def test_the_command_prints_a_line_for_each_need() -> None:
    printed = CliRunner().invoke(capacity, ["--tickers", "5000", "--rate", "20"])

    assert printed.exit_code == 0
    assert [line[:24].strip() for line in printed.output.splitlines()] == [
        "workers and shards",
        "CPU of workers and beat",
        "CPU of Redis",
        "commands",
        "to and from Redis",
        "memory of Redis",
        "memory of workers",
    ]
