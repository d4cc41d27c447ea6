"""Fault plans of every class, all at a time, in both modes; `make faults` runs two hundred."""

from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context

import pytest

from tests.faults.kinds import KINDS
from tests.faults.plans import LOOK_SECONDS, RECOVERY_SECONDS, Plan, run
from tests.timing import AssertWithin

PLANS = (
    Plan(1, ("restart-redis", "kill-worker")),
    Plan(2, ("restart-empty", "copies")),
    Plan(5, ("kill-holder", "clock-back")),
    Plan(6, ("overtake-holder", "shuffled")),
    Plan(7, ("refused-flood", "delayed-feed")),
    Plan(8, ("late-feed",)),
    Plan(9, ("read-only", "failed-save")),
    Plan(10, ("too-few-replicas", "slow-loading")),
    Plan(11, ("all-clocks-ahead", "beat-clock")),
)


def test_a_seed_always_gives_the_same_plan_and_all_kinds_come_up() -> None:
    plans = [Plan.of(seed) for seed in range(200)]

    assert plans == [Plan.of(seed) for seed in range(200)]
    for name in KINDS:
        assert sum(name in plan.faults for plan in plans) >= 10


@pytest.mark.faults
@pytest.mark.system
@pytest.mark.parametrize("fast_path", [True, False], ids=["fast", "stock"])
def test_what_is_published_does_not_depend_on_what_happened_to_the_machines(
    assert_within: AssertWithin, *, fast_path: bool
) -> None:
    plans = [replace(plan, fast_path=fast_path) for plan in PLANS]
    with ProcessPoolExecutor(len(plans), get_context("spawn"), max_tasks_per_child=1) as pool:
        outcomes = list(pool.map(run, plans))

    assert [outcome.report() for outcome in outcomes if outcome.wrong] == []
    assert all(outcome.compared for outcome in outcomes)
    for outcome in outcomes:
        for _, seconds in outcome.recoveries:
            assert_within(RECOVERY_SECONDS + LOOK_SECONDS, seconds)
