"""Parse and fold a million fuzzed records: `python -m benchmarks.fuzz_records`."""

import itertools
import sys
from collections import Counter

import click
from tqdm import tqdm

from app.analysis.engine import Engine
from app.analysis.record_parser import parse_batch
from tests.fuzz.fuzzing import REASONS, members

SECOND_MS = 1000
START_MS = 1_700_000_000_000
MEMBERS_A_SECOND = 200
ODDITIES = frozenset({"stamp_mismatch", "unnumbered", "duplicate"})


@click.command()
@click.option("--records", default=1_000_000, show_default=True)
@click.option("--seed", default=0, show_default=True)
def main(*, records: int, seed: int) -> None:
    """Fold fuzzed members; exits with 1 at an exception or a reason that nobody counts."""
    source = members(seed)
    reasons: Counter[str] = Counter()
    engine = Engine.new("FUZZ")
    failed: set[str] = set()
    for number in tqdm(
        range(records // (2 * MEMBERS_A_SECOND)), unit="s", unit_scale=MEMBERS_A_SECOND * 2
    ):
        end = START_MS + (number + 1) * SECOND_MS
        batch_members = itertools.islice(source, 2 * MEMBERS_A_SECOND)
        stored = [
            (member, float(end - SECOND_MS + 1 + n)) for n, member in enumerate(batch_members)
        ]
        batch = parse_batch(stored[::2], stored[1::2])
        reasons.update(name for _, name in batch.faults)
        reasons["record"] += len(batch.records)
        failed |= engine.advance(batch, end).failed_detectors.keys()
    for name, count in reasons.most_common():
        click.echo(f"{name}: {count}")
    unknown = reasons.keys() - REASONS - ODDITIES - {"record"}
    click.echo(f"unknown reasons: {sorted(unknown)}; detectors that failed: {sorted(failed)}")
    sys.exit(bool(unknown or failed))


if __name__ == "__main__":
    main()
