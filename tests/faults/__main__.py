"""`python -m tests.faults --plans 200 --workers 4`: run seeded plans, several at a time."""

import sys
from collections import Counter, defaultdict
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import replace
from multiprocessing import get_context

import click
from tqdm import tqdm

from tests.faults.kinds import KINDS
from tests.faults.plans import Outcome, Plan, run


@click.command()
@click.option("--plans", default=200, show_default=True, help="How many plans to run.")
@click.option("--workers", default=4, show_default=True, help="How many at a time.")
@click.option("--seed", default=0, show_default=True, help="The first plan's seed.")
@click.option("--fault", "only", multiple=True, type=click.Choice(list(KINDS)), help="Only these.")
@click.option("--stock", is_flag=True, help="Run on stock Celery, without the fast path.")
def main(*, plans: int, workers: int, seed: int, only: tuple[str, ...], stock: bool) -> None:
    """Run fault plans; exits with 1 where one failed, and prints its seed."""
    drawn = [Plan(n, only) if only else Plan.of(n) for n in range(seed, seed + plans)]
    chosen = [replace(plan, fast_path=not stock) for plan in drawn]
    outcomes: list[Outcome] = []
    # A new process each: what a plan leaves in memory must not weigh on the next one.
    with ProcessPoolExecutor(workers, get_context("spawn"), max_tasks_per_child=1) as pool:
        running = [pool.submit(run, plan) for plan in chosen]
        for future in tqdm(as_completed(running), total=plans, unit="plan"):
            outcomes.append(future.result())
            outcomes[-1].wrong += outcomes[-1].late_recoveries()
            tqdm.write(outcomes[-1].report())
    _summary(outcomes)
    sys.exit(any(outcome.wrong for outcome in outcomes))


def _summary(outcomes: list[Outcome]) -> None:
    failed = sorted(outcome.plan.seed for outcome in outcomes if outcome.wrong)
    done = Counter(name for outcome in outcomes for name in outcome.plan.faults)
    click.echo(f"{len(outcomes) - len(failed)} of {len(outcomes)} plans passed")
    click.echo("times: " + ", ".join(f"{name} {number}" for name, number in done.most_common()))
    seconds: dict[str, list[float]] = defaultdict(list)
    for outcome in outcomes:
        for name, recovery in outcome.recoveries:
            seconds[name].append(recovery)
    for name, found in sorted(seconds.items()):
        middle = sorted(found)[len(found) // 2]
        click.echo(f"ticks again after: {name}: median {middle:.1f} s, longest {max(found):.1f} s")
    if failed:
        click.echo("failed seeds: " + ", ".join(map(str, failed)))


if __name__ == "__main__":
    main()
