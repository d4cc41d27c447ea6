"""The fields of a window's sums are those of its bars."""

from dataclasses import asdict, fields

from app.analysis.bars import ADDITIVE_FIELDS, CLOSING_FIELDS, COUNT_FIELDS, Bar
from app.analysis.window_sums import BarSums

NAMES = (*ADDITIVE_FIELDS, *COUNT_FIELDS)


def test_each_sum_that_a_table_adds_up_is_in_the_field_of_its_name() -> None:
    values = [number + 0.5 for number in range(len(NAMES))]

    assert [field.name for field in fields(BarSums)] == [*NAMES]
    assert asdict(BarSums(values)) == dict(zip(NAMES, values, strict=True))


def test_a_bar_gives_its_numbers_in_the_order_of_the_fields() -> None:
    bar = Bar(0).set_fields((name, number + 0.5) for number, name in enumerate(ADDITIVE_FIELDS))
    bar.set_fields((name, number) for number, name in enumerate(COUNT_FIELDS))
    kinds = [type(getattr(bar, name)) for name in CLOSING_FIELDS]
    bar.set_fields((name, kinds[n](n)) for n, name in enumerate(CLOSING_FIELDS))

    assert bar.additive_values() == [number + 0.5 for number in range(len(ADDITIVE_FIELDS))]
    assert bar.count_values() == [*range(len(COUNT_FIELDS))]
    assert bar.closing_values() == [*range(len(CLOSING_FIELDS))]
