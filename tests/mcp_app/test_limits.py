"""The rate limit's arithmetic, and that what it remembers is bounded."""

from mcp_app.limits import TokenBuckets

NOW = 1000.0


def test_a_minutes_requests_are_allowed_at_once_and_no_more() -> None:
    allowance = TokenBuckets(60)

    waits = [allowance.wait_seconds("a", NOW) for _ in range(61)]

    assert waits[:60] == [0.0] * 60
    assert waits[60] == 1.0


def test_what_was_refused_costs_nothing_and_time_gives_requests_back() -> None:
    allowance = TokenBuckets(60)
    for _ in range(70):
        allowance.wait_seconds("a", NOW)

    later = [allowance.wait_seconds("a", NOW + 2) for _ in range(3)]

    assert later == [0.0, 0.0, 1.0]


def test_clients_do_not_pay_for_each_other() -> None:
    allowance = TokenBuckets(60)
    for _ in range(61):
        allowance.wait_seconds("a", NOW)

    assert allowance.wait_seconds("b", NOW) == 0.0


def test_a_flood_of_clients_takes_no_more_than_a_bound() -> None:
    allowance = TokenBuckets(60, max_clients=100)

    for number in range(10_000):
        allowance.wait_seconds(f"client {number}", NOW)

    assert len(allowance) == 100
