"""How often events are as rare as their return period says, on simulated days of several seeds.

    python -m benchmarks.return_calibration BTC-USD --seeds 5 [--skip-minutes 60]

A line a seed: events with at least a return period of 10 and 30 minutes, for one that these promise
(1 is right), by type and over all of them. One day has 36 events that come every ten minutes, and
12 that come every 30: a single ratio is off by .17 and .3 by chance alone.
"""

import click

from app.analysis.bars import SECOND_MS
from app.evaluation.scorecard.calibration import RETURN_MINUTES, Calibration, calibrate
from app.evaluation.scorecard.simulated_books import simulated_day
from app.feeds.simulation.profiles import PROFILES

DAY_SECONDS = 23_400


def ratios_of(found: Calibration, minutes: int) -> str:
    """Return the ratios of a day at one return period, as text."""
    by_type = [f"{row.type} {row.ratio:.2f}" for row in found.return_ratios(minutes)]
    return ", ".join([*by_type, f"all {found.pooled(minutes):.2f}"])


@click.command()
@click.argument("ticker", type=click.Choice(sorted(PROFILES)))
@click.option("--seeds", default=5, show_default=True, help="How many days.")
@click.option("--skip-minutes", default=0, help="Leave out the start of each day.")
def main(ticker: str, seeds: int, skip_minutes: int) -> None:
    """Print the ratios of each day."""
    for seed in range(1, seeds + 1):
        records = simulated_day(ticker, seed, DAY_SECONDS + skip_minutes * 60)
        begin = records[0].stamp + skip_minutes * 60 * SECOND_MS
        found = calibrate(ticker, [record for record in records if record.stamp >= begin])
        for minutes in RETURN_MINUTES:
            click.echo(f"{ticker} seed {seed}, R = {minutes}: {ratios_of(found, minutes)}")


if __name__ == "__main__":
    main()
