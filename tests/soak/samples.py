"""Sizes of processes over time, and whether they are at the end what they were."""

from collections.abc import Mapping
from dataclasses import dataclass
from statistics import median

import psutil

from benchmarks.harness import table

RSS_SHARE = 0.05
FEW = 5
_SPAN = 12
"""How many samples a value is the median of."""
_MIB = 2**20


@dataclass(frozen=True, slots=True)
class Size:
    """What a process holds."""

    rss_mib: float
    threads: float
    descriptors: float

    def is_near(self, before: "Size") -> bool:
        """Tell whether memory is within 5 %, threads and descriptors within 5, of `before`."""
        return (
            abs(self.rss_mib - before.rss_mib) <= RSS_SHARE * before.rss_mib
            and abs(self.threads - before.threads) <= FEW
            and abs(self.descriptors - before.descriptors) <= FEW
        )


def size_of(process: psutil.Process) -> Size:
    """Measure a process."""
    with process.oneshot():
        memory = process.memory_info().rss / _MIB
        return Size(memory, process.num_threads(), process.num_fds())


def middle(sizes: list[Size]) -> Size:
    """Return the medians of the newest samples."""
    newest = sizes[-_SPAN:]
    return Size(
        median(one.rss_mib for one in newest),
        median(one.threads for one in newest),
        median(one.descriptors for one in newest),
    )


def differing(before: Mapping[str, Size], after: Mapping[str, Size]) -> list[str]:
    """Return the names of the processes that are not what they were."""
    return [name for name in before if not after[name].is_near(before[name])]


def size_table(before: Mapping[str, Size], after: Mapping[str, Size], minutes: float) -> str:
    """Return a table in Markdown."""
    head = ("process", "RSS, MiB", "", "change", "threads", "", "descriptors", "", "within")
    times = ("", "5 min", f"{minutes:.0f} min", "", "5 min", f"{minutes:.0f} min")
    rows = [(*times, "5 min", f"{minutes:.0f} min", "5 %, 5, 5")]
    rows += [_row(name, before[name], after[name]) for name in before]
    return table(head, rows)


def _row(name: str, before: Size, after: Size) -> tuple[str, ...]:
    change = f"{after.rss_mib / before.rss_mib - 1.0:+.1%}"
    rss = f"{before.rss_mib:.1f}", f"{after.rss_mib:.1f}", change
    threads = f"{before.threads:.0f}", f"{after.threads:.0f}"
    descriptors = f"{before.descriptors:.0f}", f"{after.descriptors:.0f}"
    return (name, *rss, *threads, *descriptors, "yes" if after.is_near(before) else "**no**")
