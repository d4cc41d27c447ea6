"""The totals that `/metrics` publishes."""

import redis

from app.analysis.quality_table import ACCEPTED_NAMES, MIS_STAMPED_NAMES, NOW_NAMES, REJECTED_NAMES
from app.core.settings import Settings
from app.operations.prometheus import AnalysisCollector


def test_each_count_of_records_is_a_total_once_and_what_is_true_now_is_none(
    redis_client: redis.Redis, settings: Settings
) -> None:
    names = sorted({*ACCEPTED_NAMES, *REJECTED_NAMES, *NOW_NAMES})
    stored = {f"records_{name}": number for number, name in enumerate(names, start=1)}
    redis_client.hset("orderflow:counters", mapping=stored)

    samples = [
        sample
        for family in AnalysisCollector(redis_client, settings).collect()
        for sample in family.samples
        if sample.name.startswith("orderflow_records") and sample.value
    ]

    told = [(next(iter(sample.labels.values())), sample.value) for sample in samples]
    totals = {*ACCEPTED_NAMES, *REJECTED_NAMES, *MIS_STAMPED_NAMES}
    assert sorted(told) == [(n, stored[f"records_{n}"]) for n in names if n in totals]
