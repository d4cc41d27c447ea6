"""Engine and plain definitions alike, against numbers worked out by hand."""

import math
import random
from collections.abc import Callable

import pytest

from app.analysis.patterns import events
from app.analysis.quantiles import DecayClock, decayed_histogram
from tests.analysis.hand_tapes import Analyse, bought_at_ask, calm, many_prices, only, swaying
from tests.builders import quote, second, stream, trade
from tests.engine_answers import Records
from tests.reference.lives import event_id
from tests.reference.scales import Scale

Sample = tuple[int, float]
"""The number of a second, and a value."""
Quantile = Callable[[list[Sample], float, int], float | None]


def quantile_of_definitions(samples: list[Sample], q: float, half_life: int) -> float | None:
    scale = Scale(half_life)
    for place, (number, x) in enumerate(samples):
        scale.sample(place, x, number)
    return scale.through(len(samples) - 1, q)


def quantile_of_engine(samples: list[Sample], q: float, half_life: int) -> float | None:
    histogram, clock = decayed_histogram(q), DecayClock(half_life)
    for number, x in samples:
        while clock.seconds < number:
            clock.end_second()
        histogram.add(x, clock)
    return histogram.quantile(0)


def each_second(values: list[float]) -> list[Sample]:
    return list(enumerate(values))


both_quantiles = pytest.mark.parametrize(
    "quantile", [quantile_of_definitions, quantile_of_engine], ids=["definitions", "engine"]
)


def test_sizes_and_spreads_are_weighed_by_the_time_that_they_stood(analyse: Analyse) -> None:
    answers = analyse(
        stream(
            quote(at=0, bid_size=100, ask_size=100),
            quote(at=4, bid_size=300, ask_size=100, ask=10.15),
        )
    )
    found = answers.metrics(second(10), 10)
    assert found["avg_bid_size"] == pytest.approx((100 * 4 + 300 * 6) / 10)
    assert found["avg_spread"] == pytest.approx((0.05 * 4 + 0.15 * 6) / 10)
    assert found["queue_imbalance"] == pytest.approx(0.5 * 6 / 10)
    assert (found["min_spread"], found["max_spread"]) == pytest.approx((0.05, 0.15))
    assert found["bid_size_acceleration"] == "INCREASING"
    assert found["spread_trend"] == "WIDENING"


def test_a_quote_stamped_at_the_windows_start_stands_in_it_but_is_not_counted(
    analyse: Analyse,
) -> None:
    answers = analyse(stream(quote(at=0), quote(at=10, bid_size=50)))
    found = answers.metrics(second(20), 10)
    assert found["quote_count"] == 0
    assert found["avg_bid_size"] == 50
    assert found["covered_seconds"] == 10


def test_order_flow_adds_what_came_and_takes_what_went_at_each_best_price(analyse: Analyse) -> None:
    answers = analyse(
        stream(
            quote(at=1, bid=10.00, bid_size=100, ask_size=70),
            quote(at=2, bid=10.01, bid_size=30, ask_size=70),  # bid better: + 30
            quote(at=3, bid=10.01, bid_size=50, ask_size=70),  # bid grows: + 20
            quote(at=4, bid=10.01, bid_size=50, ask=10.06, ask_size=10),  # ask worse: + 70
        )
    )
    found = answers.metrics(second(10), 10)
    assert found["ofi"] == 30 + 20 + 70
    assert found["size_turnover"] == pytest.approx(20 / 9)
    assert (found["bid_lift_count"], found["ask_lift_count"]) == (1, 1)
    assert "log_ofi" not in found


def test_a_side_without_size_keeps_its_price_for_the_order_flow(analyse: Analyse) -> None:
    answers = analyse(
        stream(quote(at=1), quote(at=2, bid=0.0, bid_size=0), quote(at=3, bid_size=40))
    )
    found = answers.metrics(second(3), 10)
    assert found["ofi"] == -100 + 40
    assert found["bid_drop_count"] == found["bid_lift_count"] == 0
    assert answers.metrics(second(2), 10)["queue_imbalance"] == pytest.approx(0.0)
    assert "weighted_mid" not in answers.metrics(second(2), 10)
    assert answers.quality_counts(second(3), 10)["one_sided"] == 1


def test_a_locked_quote_leaves_the_mid_to_the_last_uncrossed_one(analyse: Analyse) -> None:
    answers = analyse(stream(quote(at=1, bid_size=300), quote(at=2, bid=10.05)))
    found = answers.metrics(second(5), 10)
    assert found["weighted_mid"] == pytest.approx((10.00 * 100 + 10.05 * 300) / 400)
    assert found["avg_spread"] == pytest.approx(0.05)
    assert found["bid_price"] == pytest.approx(10.05)


def test_takers_are_inferred_from_the_mid_and_then_from_the_last_other_price(
    analyse: Analyse,
) -> None:
    answers = analyse(
        stream(
            quote(at=1, bid=10.00, ask=10.04),
            trade(at=2, price=10.02, size=1),  # at the mid, no other price: unsigned
            trade(at=2, price=10.04, size=2),  # above: buy
            trade(at=2, price=10.02, size=4),  # at the mid, below 10.04: sell
            trade(at=2, price=10.01, size=8, aggressor="buy"),
        )
    )
    found = answers.metrics(second(5), 10)
    assert (found["buy_volume"], found["sell_volume"], found["unsigned_volume"]) == (10, 4, 1)
    assert found["trade_imbalance"] == pytest.approx(6 / 14)
    assert found["inside_volume"] == 13
    paid = 2 * (2 * (10.04 - 10.02) + 8 * (10.01 - 10.02)) / 10.02 * 1e4
    assert found["effective_spread_bps"] == pytest.approx(paid / 14)


def test_volatility_takes_the_mid_last_seen_at_each_second(analyse: Analyse) -> None:
    answers = analyse(stream(quote(at=0.5), quote(at=2.5, bid=10.10, ask=10.15)))
    found = answers.metrics(second(5), 10)
    move = math.log(10.125 / 10.025)
    assert found["realized_volatility_bps"] == pytest.approx(1e4 * move)
    assert found["price_velocity"] == pytest.approx(0.1 / 4.5)


@pytest.mark.parametrize(("as_of", "window", "covered"), [(15, 300, 15), (15, 10, 10), (4, 10, 4)])
def test_rates_are_over_the_covered_seconds(
    analyse: Analyse, as_of: int, window: int, covered: int
) -> None:
    quotes = [quote(at=k / 4, bid_size=100 + 8 * (k % 2), bid=9 + k / 400) for k in range(100)]
    found = analyse(stream(*quotes)).metrics(second(as_of), window)
    assert found["covered_seconds"] == covered
    count = 4 * covered + (covered < window)
    assert found["quotes_per_second"] == pytest.approx(count / covered)
    assert found["quote_count"] == count
    assert found["size_turnover"] == 0
    assert found["price_velocity"] == pytest.approx(0.005)


def test_rates_are_absent_where_nothing_is_covered(analyse: Analyse) -> None:
    found = analyse(stream(quote(at=10))).metrics(second(10), 10)
    assert (found["quote_count"], found["covered_seconds"]) == (1, 0)
    assert found.keys().isdisjoint({"quotes_per_second", "size_turnover", "price_velocity"})


@pytest.mark.parametrize(("as_of", "appeared"), [(190, None), (205, None), (209, 1), (230, 0)])
def test_large_sizes_are_counted_where_large_was_known_all_the_time(
    analyse: Analyse, as_of: int, appeared: int | None
) -> None:
    large = [quote(at=at, bid_size=size) for at in (195.2, 203.2) for size in (50, 500)]
    records = stream(*sorted([*calm(240), *large], key=lambda one: one.stamp))
    found = analyse(records).metrics(second(as_of), 10)
    assert found.get("large_bids_appeared") == appeared
    assert ("large_bid_size" in found) == (as_of > 199)


@both_quantiles
def test_a_quantile_is_a_sample_that_occurred(quantile: Quantile) -> None:
    assert quantile(each_second([100.0] * 19), 0.5, 1800) is None
    assert quantile(each_second([100.0] * 20), 0.5, 1800) == 100.0
    # 98.7 to 103.1 is one bin: what most of its samples are stands for it.
    mixed = [100.0, 102.0, 100.0, 101.0, 100.0] * 8
    assert quantile(each_second(mixed), 0.5, 1800) == 100.0


@both_quantiles
def test_zeros_lie_below_all_and_newer_samples_weigh_more(quantile: Quantile) -> None:
    # Halved each second, 19 zeros weigh 128 + 64 + ... + 1 = 255, and the newest sample 256.
    assert quantile(each_second([0.0] * 19 + [7.0]), 0.5, 1) == 7.0
    assert quantile(each_second([0.0] * 18 + [7.0, 0.0]), 0.5, 1) == 0.0
    assert quantile(each_second([0.0] * 19), 0.25, 1) == 0.0


@both_quantiles
@pytest.mark.parametrize("first", [[], [3.0], [1.0], [99.0] * 7, [1e-9, 1e9]])
def test_a_quantile_has_no_memory_of_the_first_samples(
    quantile: Quantile, first: list[float]
) -> None:
    values = [*first, *[200.0, 100.0, 100.0, 100.0, 300.0, 50.0, 100.0] * 40]
    assert quantile(each_second(values), 0.75, 1800) == 200.0
    assert quantile(each_second(values), 0.5, 1800) == 100.0


@both_quantiles
@pytest.mark.parametrize("power", [-40, -3, 1, 7, 30])
def test_samples_times_a_power_of_two_have_quantiles_times_it(
    quantile: Quantile, power: int
) -> None:
    draw = random.Random(5)  # noqa: S311 - a test's, not a secret's
    values = [draw.choice([0.0, 100.0, 130.0, draw.expovariate(0.01)]) for _ in range(300)]
    for q in (0.25, 0.5, 0.75, 0.95):
        found = quantile(each_second(values), q, 20)
        scaled = quantile(each_second([x * 2.0**power for x in values]), q, 20)
        assert found is not None
        assert scaled == found * 2.0**power


@both_quantiles
def test_half_lives_are_of_time_whatever_number_of_samples_came(quantile: Quantile) -> None:
    # 80 old samples after three half-lives weigh as much as ten new ones.
    old = [(0, 500.0)] * 80
    assert quantile([*old, *[(30, 100.0)] * 10], 0.5, 10) == 500.0
    assert quantile([*old, *[(30, 100.0)] * 11], 0.5, 10) == 100.0


@both_quantiles
def test_a_scale_of_which_nothing_is_left_is_warming_again(quantile: Quantile) -> None:
    # 40 · 256 is below 2^14: after fourteen half-lives nothing is left.
    old = [(0, 500.0)] * 40
    assert quantile([*old, (139, 100.0)], 0.5, 10) == 100.0
    assert quantile([*old, (140, 100.0)], 0.5, 10) is None
    assert quantile([*old, *[(150, 100.0)] * 20], 0.5, 10) == 100.0


@pytest.mark.parametrize("seed", range(4))
def test_engine_and_definitions_agree_on_any_samples(seed: int) -> None:
    draw = random.Random(seed)  # noqa: S311 - a test's, not a secret's
    number, samples = 0, []
    for _ in range(1200):
        number += draw.choice([0, 0, 1, 1, 1, 2, 60 if draw.random() < 0.02 else 1])
        kinds = [100.0, 102.0, 0.0, 50.0 * draw.randrange(1, 40), draw.lognormvariate(3, 2)]
        samples.append((number, draw.choice(kinds)))
    for q in (0.5, 0.75, 0.9, 0.95):
        for count in range(1, 1200, 7):
            args = samples[:count], q, 90
            assert quantile_of_engine(*args) == quantile_of_definitions(*args)


def test_a_quantile_is_as_of_its_time_whatever_was_sampled_later() -> None:
    scale = Scale()
    for at in range(20):
        scale.sample(at, 100.0, at)
    assert scale.through(18, 0.5) is None


def id_of_engine(ticker: str, kind: str, side: str, opened_at: float, price: int) -> str:
    opening = events.Opening(kind, side, opened_at, opened_at, 1.0, 1.0, "C", {}, price, price)
    return events.event_id(ticker, opening)


@pytest.mark.parametrize("id_of", [event_id, id_of_engine], ids=["definitions", "engine"])
def test_an_events_id_depends_on_type_side_time_and_price_alone(id_of: Callable[..., str]) -> None:
    one = id_of("AAPL", "wall", "bid", 1_700_000_000_000.5, 10_00000000)
    assert one == event_id("AAPL", "wall", "bid", 1_700_000_000_000.5, 10_00000000)
    assert one != id_of("AAPL", "wall", "ask", 1_700_000_000_000.5, 10_00000000)
    assert one.startswith("AAPL~")
    assert len(one) == len("AAPL~") + 8


def test_a_wall_opens_two_seconds_after_it_rose_and_is_pulled_five_after_it_fell(
    analyse: Analyse,
) -> None:
    records = stream(
        *calm(210),
        quote(at=210.25, bid_size=1000),
        quote(at=216.5, bid_size=149),
        quote(at=230, bid_size=149),
    )
    answers = analyse(records)
    assert answers.events(second(212)) == []
    risen = only(answers, "wall", second(213))
    assert risen["opened_at"] == second(210.25)
    assert risen["noticed_at"] == second(213)
    assert risen["status"] == "open"
    theta = 3 * 100
    assert risen["statistic"] == pytest.approx(1000 / theta)
    assert only(answers, "wall", second(221))["status"] == "open"
    fallen = only(answers, "wall", second(222))
    assert (fallen["status"], fallen["close_reason"]) == ("closed", "removed")
    assert fallen["closed_at"] == second(216.5)
    assert fallen["updated_at"] == second(222)
    assert fallen["strength"] is None


def test_a_wall_that_prints_took_was_consumed(analyse: Analyse) -> None:
    records = stream(
        *calm(210),
        quote(at=210.25, bid_size=1000),
        trade(at=215, price=10.00, size=900, aggressor="sell"),
        quote(at=215, bid_size=100),
        quote(at=230),
    )
    fallen = only(analyse(records), "wall", second(225))
    assert fallen["close_reason"] == "consumed"
    assert fallen["evidence"]["traded_shares"] == 900


def test_a_stacking_is_seen_at_age_two_seconds_and_fades_below_a_quarter_more(
    analyse: Analyse,
) -> None:
    records = stream(
        *calm(40),
        quote(at=40, bid=10.01, bid_size=150),
        quote(at=41, bid=10.01, bid_size=400),
        quote(at=50, bid=10.01, bid_size=150),
        quote(at=60, bid=10.01, bid_size=150),
    )
    found = only(analyse(records), "stacking", second(56))
    assert (found["opened_at"], found["noticed_at"]) == (second(40), second(42))
    assert (found["close_reason"], found["closed_at"]) == ("faded", second(50))
    assert found["evidence"]["added_shares"] == 250


def test_a_print_of_more_than_was_displayed_is_a_native_iceberg(analyse: Analyse) -> None:
    records = stream(
        *calm(30),
        trade(at=32, price=10.05, size=60, aggressor="buy"),
        trade(at=32, price=10.05, size=110, aggressor="buy"),
        quote(at=32.5, ask_size=80),
        trade(at=33, price=10.05, size=50, aggressor="buy"),
        quote(at=40, ask=10.06),
    )
    found = only(analyse(records), "iceberg", second(50))
    assert found["side"] == "ask"
    assert found["opened_at"] == second(32)
    assert (found["statistic"], found["threshold"]) == (pytest.approx(220 / 100), 0.5)
    assert (found["close_reason"], found["closed_at"]) == ("level_lost", second(40.5))
    assert (found["evidence"]["kind"], found["evidence"]["through_refills"]) == ("native", 1)
    assert found["evidence_class"] == "A"


def test_prints_that_only_together_are_more_than_was_displayed_are_no_iceberg(
    analyse: Analyse,
) -> None:
    # Orders that joined between the prints of a stamp look the same.
    prints = [trade(at=32, price=10.05, size=60, aggressor="buy") for _ in range(4)]
    records = stream(*calm(30), *prints, quote(at=40, ask=10.06))
    assert analyse(records).events(second(60)) == []


def test_three_refills_after_a_taking_within_a_minute_are_an_iceberg(analyse: Analyse) -> None:
    records: Records = [quote(at=0)]
    for start in (30, 40, 50):
        records += [
            trade(at=start, price=10.05, size=100, aggressor="buy"),
            quote(at=start, ask=10.07),
            quote(at=start + 0.25, ask=10.05, ask_size=50),
            quote(at=start + 0.375, ask=10.05, ask_size=95),
            quote(at=start + 1, ask=10.05, ask_size=100),
        ]
    found = only(analyse(stream(*records)), "iceberg", second(51))
    assert (found["opened_at"], found["noticed_at"]) == (second(30.375), second(51))
    assert found["evidence"]["kind"] == "synthetic"
    assert found["evidence"]["median_delay_ms"] == 375
    assert found["statistic"] == pytest.approx(3)


def test_a_takers_prints_of_one_stamp_at_two_prices_are_a_sweep(analyse: Analyse) -> None:
    ones = [trade(at=1 + k, price=10.05, size=10, aggressor="buy") for k in range(40)]
    records = stream(
        quote(at=0),
        *ones,
        trade(at=50.5, price=10.05, size=100, aggressor="buy"),
        trade(at=50.5, price=10.06, size=50, aggressor="buy"),
        quote(at=50.5, ask=10.07),
    )
    found = only(analyse(records), "sweep", second(60))
    assert (found["side"], found["close_reason"]) == ("ask", "elapsed")
    assert (found["opened_at"], found["closed_at"]) == (second(50.5), second(51.5))
    assert (found["noticed_at"], found["updated_at"]) == (second(51), second(52))
    assert found["statistic"] == pytest.approx(150 / 10)


def test_three_prints_between_bid_and_ask_are_hidden_ones(analyse: Analyse) -> None:
    records = stream(
        quote(at=0),
        *bought_at_ask(20),
        *(trade(at=at, price=10.03, size=10, aggressor="buy") for at in (11, 21, 30)),
        trade(at=25, price=10.05, size=70, aggressor="buy"),
    )
    found = only(analyse(records), "hidden_print", second(50))
    assert (found["opened_at"], found["noticed_at"]) == (second(11), second(30))
    assert found["closed_at"] == second(40)
    assert (found["statistic"], found["threshold"]) == (30 / 20, 1.0)
    assert found["evidence"] == {
        "prints": 3,
        "volume_shares": 30,
        "floor_shares": 20,
        "volume_share": 0.3,
    }


def test_a_spread_twice_the_usual_for_a_second_is_a_wide_regime(analyse: Analyse) -> None:
    records = stream(
        *many_prices(),
        *calm(60, start=1),
        quote(at=70.5, ask=10.30),
        quote(at=75.5),
    )
    found = only(analyse(records), "spread_regime", second(90))
    assert (found["opened_at"], found["noticed_at"]) == (second(70.5), second(72))
    assert (found["close_reason"], found["closed_at"]) == ("normal", second(75.5))
    assert found["evidence"]["spread_ticks"] == pytest.approx(30)


def test_most_of_a_side_gone_in_a_second_without_prints_is_a_pulling(analyse: Analyse) -> None:
    records = stream(*swaying(211), quote(at=210.25, bid_size=20), quote(at=230, bid_size=20))
    answers = analyse(records)
    found = only(answers, "pulling", second(225))
    assert (found["opened_at"], found["noticed_at"]) == (second(210.25), second(211))
    assert found["statistic"] == pytest.approx(70 / 10)
    assert (found["close_reason"], found["closed_at"]) == ("elapsed", second(216))
    assert found["updated_at"] == second(221)
    assert answers.behaviors(second(215))["bid_pulling"] == "on"
    assert answers.behaviors(second(225))["bid_pulling"] == "off"


def test_a_side_back_within_half_a_second_was_a_flicker(analyse: Analyse) -> None:
    records = stream(
        *swaying(211),
        quote(at=210.25, bid_size=20),
        quote(at=211.5, bid_size=72),
        quote(at=230, bid_size=72),
    )
    found = only(analyse(records), "pulling", second(225))
    assert (found["close_reason"], found["closed_at"]) == ("flicker", second(211.5))


def test_a_lasting_flow_to_one_side_is_a_momentum_shift(analyse: Analyse) -> None:
    rising = [quote(at=230 + k, bid_size=10_000 * k) for k in range(1, 9)]
    answers = analyse(stream(*swaying(231), *rising, quote(at=400, bid_size=1)))
    found = only(answers, "momentum_shift", second(300))
    assert found["side"] == "up"
    assert (found["opened_at"], found["noticed_at"]) == (second(230), second(238))
    assert found["statistic"] == pytest.approx(8 * (1.5 - 0.35))
    assert (found["close_reason"], found["closed_at"]) == ("faded", second(238 + 21))
    assert answers.behaviors(second(236))["momentum_direction"] == "up"
    assert answers.behaviors(second(240))["momentum_building"] == "off"


def test_a_price_that_leaps_within_five_milliseconds_is_a_gap(analyse: Analyse) -> None:
    steps = [quote(at=k, ask=10.05 + 0.01 * (k % 2)) for k in range(1, 1012)]
    leap = [quote(at=1012, ask=10.05), quote(at=1012.004, ask=10.08), quote(at=1013, ask=10.08)]
    found = only(analyse(stream(*many_prices(), *steps, *leap)), "price_gap", second(1014))
    assert (found["opened_at"], found["closed_at"]) == (second(1012.004), second(1013.004))
    assert found["statistic"] == pytest.approx(0.02 / 0.02)
    assert (found["price_low"], found["price_high"]) == pytest.approx((10.05, 10.08))
    assert found["evidence"]["direction"] == "up"


def test_silence_closes_what_is_open(analyse: Analyse) -> None:
    records = stream(*calm(210), quote(at=210.25, bid_size=1000))
    found = only(analyse(records), "wall", second(600))
    assert (found["close_reason"], found["closed_at"]) == ("silence", second(511))


def test_without_prints_a_price_that_is_eaten_and_refilled_is_suspected(analyse: Analyse) -> None:
    sizes = (100, 20, 100, 20, 100, 20, 100, 20, 100)
    records = stream(
        *(quote(at=k, bid=9.99) for k in range(30)),
        *(quote(at=30 + 0.25 * k, bid_size=size) for k, size in enumerate(sizes)),
        quote(at=39, bid=9),
    )
    answers = analyse(records)
    absorbed = only(answers, "absorption_suspected", second(50))
    assert absorbed["statistic"] == pytest.approx(320 / 100)
    assert (absorbed["opened_at"], absorbed["closed_at"]) == (second(30), second(39))
    refilled = only(answers, "refill_suspected", second(50))
    assert refilled["opened_at"] == second(30.5)
    assert refilled["evidence"]["recoveries"] == 4


def test_a_levels_size_and_stays_come_from_the_time_that_it_was_best(analyse: Analyse) -> None:
    records = stream(
        quote(at=0, bid_size=100),
        quote(at=2, bid_size=300),
        quote(at=4, bid=10.01, bid_size=50),
        quote(at=10, bid=10.00, bid_size=200),
        quote(at=11, bid=9.99),
    )
    levels = analyse(records).levels(second(13))["bid"]
    level = next(one for one in levels if one["price"] == pytest.approx(10.00))
    assert level["size"] == pytest.approx((100 * 2 + 300 * 2 + 200 * 1) / 5)
    assert (level["appearances"], level["held"], level["broke"]) == (2, 1, 1)
    assert (level["first_seen"], level["last_seen"]) == (second(0), second(11))


def test_what_is_said_of_an_instant_does_not_depend_on_what_came_later(analyse: Analyse) -> None:
    records = stream(
        *calm(210),
        quote(at=210.25, bid_size=1000),
        quote(at=216.5, bid_size=200),
        quote(at=230, bid=10.02),
    )
    whole = analyse(records)
    for number in range(205, 232):
        until = second(number)
        cut = analyse([record for record in records if record.stamp <= until])
        assert cut.events(until) == whole.events(until)
        assert cut.levels(until) == whole.levels(until)
        assert cut.behaviors(until) == whole.behaviors(until)
        assert cut.metrics(until, 60) == whole.metrics(until, 60)
