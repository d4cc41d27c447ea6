"""Each threshold of each detector, just reached and just missed, by engine and definitions alike.

Where every sample of a scale is 100, its median is 100: a sample that occurred (docs/patterns.md).
"""

import pytest

from tests.analysis.hand_tapes import (
    Analyse,
    all_of,
    bought_at_ask,
    calm,
    many_prices,
    only,
    swaying,
)
from tests.builders import quote, second, stream, trade
from tests.engine_answers import Records

# Absorption ---------------------------------------------------------------------------------------

BASE_SECONDS = 332
"""More than the 300 seconds that the usual impact needs."""
TAKEN_AT = BASE_SECONDS + 30


def impact_of_a_tenth_tick_a_share(bid_size: float = 60) -> Records:
    """Buy 20 and rise two ticks, sell 10 and fall one, in turn, then 30 s without prints.

    The price moves 0.1 ticks a share in each second. The 30-second flow is 15 · 20 - 15 · 10 = 150
    in nearly all of them: the usual flow.
    """
    records: Records = []
    for number in range(BASE_SECONDS):
        rises = number % 2 == 0
        at, ticks = number + 0.5, 1001 + number // 2 + rises
        side, price = ("buy", ticks + 3) if rises else ("sell", ticks + 1)
        taken = 20 if rises else 10
        records.append(trade(at=at, price=price / 100, size=taken, aggressor=side))
        records.append(touch(at, ticks, bid_size))
    return records


def touch(at: float, ticks: int, bid_size: float) -> object:
    return quote(at=at, bid=ticks / 100, ask=(ticks + 5) / 100, bid_size=bid_size)


LAST_TICKS = 1001 + (BASE_SECONDS - 1) // 2


def drifting(ticks_in_two_seconds: int) -> tuple[Records, int]:
    """Move the price 0.1 ticks a share every other second, and so far between without prints.

    Return the last bid, too. Of 30 s the move is 6 or 9 ticks and 15 times as much.
    """
    records: Records = []
    ticks = 1001
    for number in range(BASE_SECONDS):
        at = number + 0.5
        if number % 2:
            ticks += ticks_in_two_seconds
        else:
            rises = number % 4 == 0
            price = (ticks + 5) / 100 if rises else ticks / 100
            taken, side = (20, "buy") if rises else (10, "sell")
            records.append(trade(at=at, price=price, size=taken, aggressor=side))
            ticks += 2 if rises else -1
        records.append(touch(at, ticks, 60))
    return records, ticks


@pytest.mark.parametrize(
    ("drift", "found"),
    [
        pytest.param(2, 1, id="22.6 ticks expected, of 36 to 39 usual"),
        pytest.param(3, 0, id="22.6 ticks expected, of 51 to 54 usual"),
    ],
)
def test_an_absorbed_flow_usually_moves_the_price_half_as_far_as_it_moves_anyway(
    analyse: Analyse, drift: int, found: int
) -> None:
    base, ticks = drifting(drift)
    records = sold(226, base=base, last_ticks=ticks)
    events = all_of(analyse(stream(*records)), "absorption", second(TAKEN_AT + 5))
    assert [event["evidence"]["moved_ticks"] for event in events] == [0] * found


def sold(  # noqa: PLR0913 - what is sold, and on which tape
    shares: float,
    *,
    bid_size: float = 60,
    fall_ticks: int = 0,
    elsewhere: float = 0.0,
    base: Records | None = None,
    last_ticks: int = LAST_TICKS,
) -> Records:
    """Sell so much at the bid in one second, which fell so far within the 30 s up to it."""
    ticks = last_ticks - fall_ticks
    taken = {"at": TAKEN_AT - 0.5, "aggressor": "sell"}
    return [
        *(impact_of_a_tenth_tick_a_share(bid_size) if base is None else base),
        touch(BASE_SECONDS + 0.5, ticks, bid_size),
        trade(price=(ticks - 1) / 100, size=elsewhere or 1e-6, **taken),
        trade(price=ticks / 100, size=shares - elsewhere, **taken),
        # The next second's buying ends what the flow was.
        trade(at=TAKEN_AT + 0.5, price=(ticks + 5) / 100, size=shares, aggressor="buy"),
        quote(at=TAKEN_AT + 9, bid=ticks / 100, ask=(ticks + 5) / 100, bid_size=bid_size),
    ]


@pytest.mark.parametrize(
    ("records", "is_absorbed"),
    [
        pytest.param(sold(226), True, id="flow just over 1.5 times the usual"),
        pytest.param(sold(224), False, id="flow just under 1.5 times the usual"),
        pytest.param(sold(260, fall_ticks=6), True, id="6 ticks of 26 expected"),
        pytest.param(sold(236, fall_ticks=6), False, id="6 ticks of 23.6 expected"),
        pytest.param(sold(260, bid_size=50, elsewhere=75), True, id="71 % of it at the best price"),
        pytest.param(
            sold(260, bid_size=50, elsewhere=81), False, id="69 % of it at the best price"
        ),
        pytest.param(sold(260, bid_size=82), True, id="3.17 medians at the best price"),
        pytest.param(sold(260, bid_size=88), False, id="2.95 medians at the best price"),
    ],
)
def test_an_absorption_needs_all_that_its_thresholds_say(
    analyse: Analyse, records: Records, *, is_absorbed: bool
) -> None:
    found = all_of(analyse(stream(*records)), "absorption", second(TAKEN_AT + 5))
    assert len(found) == is_absorbed


def test_an_absorption_looks_at_thirty_seconds(analyse: Analyse) -> None:
    found = only(analyse(stream(*sold(260))), "absorption", second(TAKEN_AT + 5))
    assert (found["side"], found["noticed_at"]) == ("bid", second(TAKEN_AT))
    assert found["opened_at"] == second(TAKEN_AT - 30)
    assert found["evidence"]["flow_shares"] == pytest.approx(-260)
    assert found["evidence"]["expected_ticks"] == pytest.approx(26)
    assert found["evidence"]["usual_flow_shares"] == 150


def test_an_absorption_fades_below_three_quarters_of_the_usual_flow(analyse: Analyse) -> None:
    records = [record for record in sold(260) if record.stamp < second(TAKEN_AT)]
    ask = (LAST_TICKS + 5) / 100
    records += [
        # 118 is over 0.75 · 150 = 112.5, 109 under it.
        trade(at=TAKEN_AT + 0.5, price=ask, size=260 - 118, aggressor="buy"),
        trade(at=TAKEN_AT + 2.5, price=ask, size=118 - 109, aggressor="buy"),
        touch(TAKEN_AT + 9, LAST_TICKS, 60),
    ]
    found = only(analyse(stream(*records)), "absorption", second(TAKEN_AT + 9))
    assert (found["close_reason"], found["closed_at"]) == ("faded", second(TAKEN_AT + 3))


# Hidden prints ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("prints", "gap", "found"), [(3, 10, 1), (3, 10.5, 0), (2, 10, 0)])
def test_hidden_prints_are_three_with_gaps_of_at_most_ten_seconds(
    analyse: Analyse, prints: int, gap: float, found: int
) -> None:
    inside = [trade(at=11 + gap * k, price=10.03, size=10, aggressor="buy") for k in range(prints)]
    records = stream(quote(at=0), *bought_at_ask(10), *inside)
    events = all_of(analyse(records), "hidden_print", second(70))
    assert len(events) == found
    assert [event["closed_at"] for event in events] == [second(41)] * found


@pytest.mark.parametrize(("size", "opened"), [(10, [13]), (9.9, [14]), (7.5, [14]), (7.4, [])])
def test_hidden_prints_have_the_volume_of_a_large_market_order(
    analyse: Analyse, size: float, opened: list[int]
) -> None:
    # Three prints from second 11 on, and a fourth, against orders of 30.
    inside = [trade(at=11 + k, price=10.03, size=size, aggressor="buy") for k in range(4)]
    records = stream(quote(at=0), *bought_at_ask(30), *inside)
    events = all_of(analyse(records), "hidden_print", second(60))
    assert [event["noticed_at"] for event in events] == [second(at) for at in opened]
    assert [event["statistic"] for event in events] == [pytest.approx(4 * size / 30)] * len(opened)


def test_no_hidden_prints_begin_while_the_size_of_orders_is_unknown(analyse: Analyse) -> None:
    inside = [trade(at=11 + k, price=10.03, size=50, aggressor="buy") for k in range(4)]
    records = stream(quote(at=0), *bought_at_ask(30)[:39], *inside)
    assert all_of(analyse(records), "hidden_print", second(60)) == []


def hidden_at(*places: tuple[float, float]) -> Records:
    """Print 10 inside the quote at such times and prices, where the tick is a cent."""
    inside = [trade(at=at, price=price, size=10, aggressor="buy") for at, price in places]
    asks = [quote(at=at, bid=10.00, ask=10.50) for at in (5, 60)]
    return stream(*many_prices(), *bought_at_ask(10), *asks, *inside)


def thrice(at: float, price: float) -> list[tuple[float, float]]:
    return [(at, price), (at + 0.25, price), (at + 0.5, price)]


@pytest.mark.parametrize(
    ("places", "ranges"),
    [
        pytest.param([*thrice(11, 10.20), *thrice(12, 10.21)], [(10.20, 10.21, 6)], id="a tick"),
        pytest.param([*thrice(11, 10.20), *thrice(12, 10.195)], [(10.195, 10.20, 6)], id="half"),
        pytest.param(
            [*thrice(11, 10.20), *thrice(12, 10.22)],
            [(10.20, 10.20, 3), (10.22, 10.22, 3)],
            id="two ticks",
        ),
        pytest.param(
            [*thrice(11, 10.20), *thrice(12, 10.21), *thrice(13, 10.22), (14, 10.205)],
            [(10.20, 10.22, 10)],
            id="two ticks with one between",
        ),
        pytest.param(
            [*thrice(11, 10.20), *thrice(12, 10.21)[:2]], [(10.20, 10.20, 3)], id="two prints"
        ),
        pytest.param(
            [*thrice(11, 10.20), *thrice(22, 10.21)],
            [(10.20, 10.20, 3), (10.21, 10.21, 3)],
            id="the first is silent",
        ),
    ],
)
def test_hidden_prints_at_adjacent_prices_are_one_event_once_each_has_three(
    analyse: Analyse, places: list[tuple[float, float]], ranges: list[tuple[float, float, int]]
) -> None:
    found = all_of(analyse(hidden_at(*places)), "hidden_print", second(58))
    shown = [(e["price_low"], e["price_high"], e["evidence"]["prints"]) for e in found]
    assert shown == [pytest.approx(one) for one in ranges]
    silent = [max(at for at, price in places if low <= price <= high) for low, high, _ in ranges]
    assert [e["closed_at"] for e in found] == [second(at + 10) for at in silent]


def test_prints_between_two_events_of_hidden_prints_make_one_of_them(analyse: Analyse) -> None:
    places = [*thrice(11, 10.20), *thrice(12, 10.22), *thrice(13, 10.21), (14, 10.22)]

    both = all_of(analyse(hidden_at(*places)), "hidden_print", second(58))

    told = [(e["price_low"], e["price_high"], e["evidence"]["prints"]) for e in both]
    assert told == [pytest.approx((10.20, 10.22, 10)), pytest.approx((10.22, 10.22, 3))]
    ends = [(e["closed_at"], e["close_reason"]) for e in both]
    assert ends == [(second(24), "silence"), (second(13.5), "merged")]


# Icebergs -----------------------------------------------------------------------------------------


def refills(
    delay: float, *, displayed: float = 100, back: float = 100, starts: tuple[float, ...]
) -> Records:
    """Take a better ask whole at each start; so much is back after `delay` seconds.

    At whole seconds the ask is 100 at 10.05, so that the median size stays 100.
    """
    records: Records = list(calm(int(starts[-1]) + 3))
    for start in starts:
        records += [
            quote(at=start, ask=10.04, ask_size=displayed),
            trade(at=start + 0.01, price=10.04, size=displayed, aggressor="buy"),
            quote(at=start + 0.01),
            quote(at=start + 0.01 + delay, ask=10.04, ask_size=back),
        ]
    return stream(*records, quote(at=starts[-1] + 0.9))


AT_ONCE = (30.05, 30.1, 30.15)
SOON = (30.05, 30.25, 30.45)
LATER = (30.05, 30.65, 31.25)


@pytest.mark.parametrize(
    ("records", "kinds"),
    [
        pytest.param(refills(0.001, back=51, starts=AT_ONCE), ["native"], id="half within 1 ms"),
        pytest.param(refills(0.00105, back=51, starts=AT_ONCE), [], id="half later than 1 ms"),
        pytest.param(refills(0.001, back=47, starts=AT_ONCE), [], id="less than half"),
        pytest.param(
            refills(0.001, displayed=30, back=20.5, starts=AT_ONCE), ["native"], id="0.205 medians"
        ),
        pytest.param(
            refills(0.001, displayed=30, back=19.5, starts=AT_ONCE), [], id="0.19 medians"
        ),
        pytest.param(refills(0.05, back=90.5, starts=LATER), ["synthetic"], id="9.5 % less"),
        pytest.param(refills(0.05, back=89.5, starts=LATER), [], id="10.5 % less"),
        pytest.param(
            refills(0.05, displayed=71, back=71, starts=SOON), ["synthetic"], id="0.71 medians"
        ),
        pytest.param(refills(0.05, displayed=69, back=69, starts=SOON), [], id="0.69 medians"),
        pytest.param(refills(0.05, starts=SOON[:2]), [], id="two refills"),
    ],
)
def test_a_refill_has_a_size_and_a_delay_that_are_no_accident(
    analyse: Analyse, records: Records, kinds: list[str]
) -> None:
    found = all_of(analyse(records), "iceberg", second(40))
    assert [event["evidence"]["kind"] for event in found] == kinds


def refills_at_the_standing_price(delay: float, *starts: float) -> Records:
    records: Records = [*calm(int(starts[0])), quote(at=starts[-1] + 70)]
    for start in starts:
        records += [
            trade(at=start, price=10.05, size=100, aggressor="buy"),
            quote(at=start, ask=10.07),
            quote(at=start + delay, ask=10.05),
        ]
    return stream(*records)


@pytest.mark.parametrize(
    ("delay", "starts", "found"),
    [
        pytest.param(0.5, (30, 60, 90), 1, id="500 ms after, and 60 s from first to third"),
        pytest.param(0.52, (30, 60, 90), 0, id="520 ms after"),
        pytest.param(0.5, (30, 60, 90.5), 0, id="60.5 s from first to third"),
    ],
)
def test_refills_come_within_half_a_second_and_three_within_a_minute(
    analyse: Analyse, delay: float, starts: tuple[float, ...], found: int
) -> None:
    records = refills_at_the_standing_price(delay, *starts)
    events = all_of(analyse(records), "iceberg", second(170))
    assert len(events) == found
    for event in events:
        silent = second(starts[-1] + delay + 60)
        assert (event["close_reason"], event["closed_at"]) == ("silence", silent)


@pytest.mark.parametrize(
    ("size", "displayed", "statistics"),
    [
        pytest.param(51, 50, [0.51], id="just over half a median"),
        pytest.param(49, 40, [], id="just under half a median"),
        pytest.param(60, 60, [], id="what was displayed"),
    ],
)
def test_an_iceberg_has_traded_half_of_the_sides_median(
    analyse: Analyse, size: float, displayed: float, statistics: list[float]
) -> None:
    records = stream(
        *calm(30),
        quote(at=30.1, ask=10.04, ask_size=displayed),
        trade(at=30.2, price=10.04, size=size, aggressor="buy"),
        quote(at=30.3),
        quote(at=40),
    )
    found = all_of(analyse(records), "iceberg", second(39))
    assert [event["statistic"] for event in found] == pytest.approx(statistics)


def test_no_refill_is_told_while_the_median_is_warming(analyse: Analyse) -> None:
    print_through = trade(at=15, price=10.05, size=300, aggressor="buy")
    records = stream(*calm(19), print_through, quote(at=40))
    assert all_of(analyse(records), "iceberg", second(39)) == []


@pytest.mark.parametrize(
    ("bid", "closed"),
    [
        pytest.param(10.04, ("silence", 33.5 + 60), id="below the price, and refilled"),
        pytest.param(10.05, ("crossed", 33.25), id="at the price"),
        pytest.param(10.06, ("crossed", 33.25), id="through the price"),
    ],
)
def test_a_reserve_ends_at_once_where_the_other_side_quotes_at_or_through_its_price(
    analyse: Analyse, bid: float, closed: tuple[str, float]
) -> None:
    records = stream(
        *calm(30),
        trade(at=30.5, price=10.05, size=300, aggressor="buy"),
        quote(at=33.25, bid=bid, ask=10.07),
        quote(at=33.5),
        quote(at=110),
    )
    found = only(analyse(records), "iceberg", second(105))
    assert (found["close_reason"], found["closed_at"]) == (closed[0], second(closed[1]))


@pytest.mark.parametrize(("bid", "found"), [(10.04, 1), (10.05, 0)])
def test_a_price_that_the_other_side_reached_is_not_refilled_but_quoted_anew(
    analyse: Analyse, bid: float, found: int
) -> None:
    records: Records = [*calm(30), quote(at=60)]
    for start in (30, 31, 32):
        records += [
            trade(at=start, price=10.05, size=100, aggressor="buy"),
            quote(at=start, ask=10.07),
            quote(at=start + 0.0004, ask=10.07, bid=bid),
            quote(at=start + 0.0008, ask=10.05),
        ]
    assert len(all_of(analyse(stream(*records)), "iceberg", second(55))) == found


# Suspected absorption and refills -----------------------------------------------------------------


def sizes_at_the_bid(*sizes: float, until: float = 39, every: float = 0.25) -> Records:
    """Let a new best bid show these sizes, one after another, where no trades come."""
    return stream(
        *(quote(at=k, bid=9.99) for k in range(30)),
        *(quote(at=30 + every * k, bid_size=size) for k, size in enumerate(sizes)),
        quote(at=until, bid=9),
    )


@pytest.mark.parametrize(
    ("sizes", "found"),
    [
        pytest.param((100, 20, 100, 20, 100, 20, 90, 10), 1, id="310 off, 230 back: 0.74"),
        pytest.param((100, 20, 100, 20, 100, 20, 79, 1), 0, id="318 off, 219 back: 0.69"),
        pytest.param((100, 30, 100, 30, 100, 30, 100, 13), 0, id="297 off are 2.97 medians"),
    ],
)
def test_an_absorption_is_suspected_after_three_sizes_off_and_seven_tenths_back(
    analyse: Analyse, sizes: tuple[float, ...], found: int
) -> None:
    events = all_of(analyse(sizes_at_the_bid(*sizes)), "absorption_suspected", second(50))
    assert len(events) == found


def test_an_absorption_is_suspected_at_age_two_seconds_and_for_sixty(analyse: Analyse) -> None:
    sizes = (100, 20, 100, 20, 100, 20, 100, 20, 100)
    records = sizes_at_the_bid(*sizes, until=100, every=0.125)
    found = only(analyse(records), "absorption_suspected", second(110))
    assert found["evidence"]["age_seconds"] == 2.0
    assert (found["close_reason"], found["closed_at"]) == ("elapsed", second(92))


@pytest.mark.parametrize(("low", "found"), [(50, 1), (52, 0)])
def test_a_dip_is_a_fall_to_half(analyse: Analyse, low: float, found: int) -> None:
    records = sizes_at_the_bid(100, low, 100, low, 100, low, 100)
    assert len(all_of(analyse(records), "refill_suspected", second(50))) == found


@pytest.mark.parametrize(("every", "found"), [(0.5, 1), (0.52, 0)])
def test_a_dip_recovers_within_half_a_second(analyse: Analyse, every: float, found: int) -> None:
    records = sizes_at_the_bid(100, 20, 100, 20, 100, 20, 100, every=every)
    assert len(all_of(analyse(records), "refill_suspected", second(50))) == found


@pytest.mark.parametrize(("apart", "found"), [(30, 1), (30.25, 0)])
def test_refills_are_suspected_after_three_within_a_minute(
    analyse: Analyse, apart: float, found: int
) -> None:
    dips = [
        quote(at=31 + number * apart + rest, bid_size=size)
        for number in range(3)
        for rest, size in ((0, 20), (0.25, 100))
    ]
    records = stream(*(quote(at=k, bid=9.99) for k in range(30)), quote(at=30), *dips)
    events = all_of(analyse(records), "refill_suspected", second(170))
    assert len(events) == found
    for event in events:
        closed = (event["close_reason"], event["closed_at"])
        assert closed == ("silence", second(91.25 + 60))


# Momentum shifts ----------------------------------------------------------------------------------


def rising(first: int, seconds: int) -> Records:
    """Add far more to the bid each second than ever came in one: z is held to 1.5."""
    return [quote(at=first + k, bid_size=10_000 * (k + 1)) for k in range(seconds)]


def test_a_shift_fades_below_a_quarter_of_the_alarm(analyse: Analyse) -> None:
    records = stream(*swaying(231), *rising(231, 9), quote(at=400, bid_size=1))
    found = only(analyse(records), "momentum_shift", second(300))
    # 9 · 1.15 less 0.35 a second: 2.30 after 23 s, 1.95 after 24 s, below 8.5 / 4 = 2.125.
    assert (found["close_reason"], found["closed_at"]) == ("faded", second(239 + 24))


def test_a_shift_that_goes_on_ends_after_two_minutes(analyse: Analyse) -> None:
    records = stream(*swaying(231), *rising(231, 140), quote(at=600, bid_size=1))
    found = all_of(analyse(records), "momentum_shift", second(365))[0]
    assert found["noticed_at"] == second(238)
    assert (found["close_reason"], found["closed_at"]) == ("elapsed", second(238 + 120))


def test_momentum_builds_over_half_of_the_alarm(analyse: Analyse) -> None:
    # 1.15 a rising second, less 0.35 a quiet one: 2.3, 1.95, 1.6, 2.75, 3.9, 5.05.
    moves = [(231, 1), (232, 2), (235, 3), (236, 4), (237, 5)]
    rises = [quote(at=at, bid_size=10_000 * number) for at, number in moves]
    answers = analyse(stream(*swaying(231), *rises, quote(at=260, bid_size=50_000)))
    assert answers.behaviors(second(236))["momentum_building"] == "off"
    assert answers.behaviors(second(237))["momentum_building"] == "on"
    # Four rises of 1.15 are 4.6, over 8.5 / 2 = 4.25.
    answers = analyse(stream(*swaying(231), *rising(231, 4), quote(at=260, bid_size=40_000)))
    assert answers.behaviors(second(233))["momentum_building"] == "off"
    assert answers.behaviors(second(234))["momentum_building"] == "on"


def test_the_mean_before_a_shift_is_that_of_sixty_seconds(analyse: Analyse) -> None:
    # Up in second 170, the 61st before; down again in second 171, the 60th: the one that counts.
    spike = [quote(at=170, bid_size=2000)]
    records = stream(*swaying(231), *spike, *rising(231, 9), quote(at=400, bid_size=1))
    found = only(analyse(records), "momentum_shift", second(300))
    assert found["opened_at"] == second(230)
    assert found["evidence"]["mean_before"] < -0.03


# Price gaps ---------------------------------------------------------------------------------------


def leaps(*leaps_ms_cents: tuple[float, int], step: int = 1) -> Records:
    """Move the ask by `step` cents each second, and then so many cents from 10.05 at such times."""
    steps = [quote(at=k, ask=10.05 + step / 100 * (k % 2)) for k in range(1, 1012)]
    last = [quote(at=1013, ask=10.05)]
    last += [quote(at=1014 + ms / 1000, ask=10.05 + cents / 100) for ms, cents in leaps_ms_cents]
    return stream(*many_prices(), *steps, *last, quote(at=1020, ask=10.05 + step / 100))


@pytest.mark.parametrize(("cents", "found"), [(2, 1), (1, 0)])
def test_a_gap_is_two_ticks_wide(analyse: Analyse, cents: int, found: int) -> None:
    events = all_of(analyse(leaps((0, cents))), "price_gap", second(1018))
    assert len(events) == found


def test_a_gap_is_over_half_more_than_the_usual_jump(analyse: Analyse) -> None:
    # Nearly all jumps are of 4 cents.
    assert all_of(analyse(leaps((0, 6), step=4)), "price_gap", second(1018)) == []
    found = only(analyse(leaps((0, 7), step=4)), "price_gap", second(1018))
    assert found["statistic"] == pytest.approx(7 / 6)
    assert found["closed_at"] == second(1015)


@pytest.mark.parametrize(("apart_ms", "found"), [(4.8, 1), (5.2, 2)])
def test_a_side_gaps_once_in_five_milliseconds(
    analyse: Analyse, apart_ms: float, found: int
) -> None:
    events = all_of(analyse(leaps((0, 10), (apart_ms, 20))), "price_gap", second(1018))
    assert len(events) == found


# Pulling ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("left", "found"), [(43, 1), (47, 0)])
def test_a_pulling_takes_half_of_what_was_displayed(
    analyse: Analyse, left: float, found: int
) -> None:
    records = stream(*swaying(211), quote(at=210.25, bid_size=left), quote(at=230, bid_size=left))
    assert len(all_of(analyse(records), "pulling", second(225))) == found


@pytest.mark.parametrize(
    ("at", "back", "reason"),
    [(211.5, 73, "flicker"), (211.5, 71, "elapsed"), (211.52, 90, "elapsed")],
)
def test_a_flicker_is_back_to_four_fifths_within_half_a_second(
    analyse: Analyse, at: float, back: float, reason: str
) -> None:
    pulled = [quote(at=210.25, bid_size=20), quote(at=at, bid_size=back)]
    records = stream(*swaying(211), *pulled, quote(at=230, bid_size=back))
    assert only(analyse(records), "pulling", second(225))["close_reason"] == reason


# Quote bursts -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("usual_prints", "prints", "found"),
    [
        pytest.param(0, 0, 1, id="prints are rare, and none comes"),
        pytest.param(0, 1, 0, id="prints are rare, and one comes"),
        pytest.param(2, 2, 1, id="as many as usual"),
        pytest.param(2, 3, 0, id="more than usual"),
    ],
)
def test_a_burst_of_quotes_comes_with_no_more_prints_than_three_quarters_of_the_seconds_have(
    analyse: Analyse, usual_prints: int, prints: int, found: int
) -> None:
    steps = [quote(at=k, ask=10.05 + 0.01 * (k % 2)) for k in range(1012)]
    burst = [quote(at=1012.1 + 0.02 * k, ask=10.05 + 0.01 * (k % 2)) for k in range(10)]
    trades = [trade(at=5.5, price=10.00, size=10, aggressor="sell")]
    trades += [
        trade(at=number + 0.5 + 0.1 * k, price=10.00, size=10, aggressor="sell")
        for number in range(10, 1010)
        for k in range(usual_prints)
    ]
    trades += [
        trade(at=1012.5 + 0.1 * k, price=10.00, size=10, aggressor="sell") for k in range(prints)
    ]
    records = stream(*steps, *burst, *trades, quote(at=1014), quote(at=1030))
    events = all_of(analyse(records), "quote_burst", second(1025))
    assert [event["evidence"]["trades_per_second"] for event in events] == [prints] * found


# Spread regimes -----------------------------------------------------------------------------------


def twenty_ticks_then(*later: tuple[float, int]) -> Records:
    """Let twenty ticks be the usual spread, and show other spreads at such times.

    A few seconds at nineteen do not change that.
    """
    at_first = [quote(at=0.01 * k, bid=9.5 + k / 100, ask=9.69 + k / 100) for k in range(21)]
    usual = [quote(at=k, bid=9.70, ask=9.89 if k < 6 else 9.90) for k in range(1, 70)]
    others = [quote(at=at, bid=9.70, ask=9.70 + ticks / 100) for at, ticks in later]
    return stream(*at_first, *usual, *others)


@pytest.mark.parametrize(
    ("ticks", "regimes"),
    [(40, ["wide"]), (39, []), (10, ["tight"]), (11, [])],
)
def test_a_regime_is_twice_or_half_the_usual_spread(
    analyse: Analyse, ticks: int, regimes: list[str]
) -> None:
    records = twenty_ticks_then((70.5, ticks), (80, ticks))
    found = all_of(analyse(records), "spread_regime", second(79))
    assert [event["side"] for event in found] == regimes


@pytest.mark.parametrize(
    ("ticks", "nearer", "reason"),
    [(40, 25, "normal"), (40, 26, None), (10, 16, "normal"), (10, 15, None)],
)
def test_a_regime_ends_within_a_fifth_less_and_a_quarter_more_of_the_usual_spread(
    analyse: Analyse, ticks: int, nearer: int, reason: str | None
) -> None:
    records = twenty_ticks_then((70.5, ticks), (74, nearer), (90, nearer))
    assert only(analyse(records), "spread_regime", second(85))["close_reason"] == reason


@pytest.mark.parametrize(
    ("ticks", "ratio"),
    [
        pytest.param((50, 45), 2.5, id="wide"),
        pytest.param((5, 8), 4.0, id="tight"),
        pytest.param((45, 50), 2.5, id="wider when it goes on"),
    ],
)
def test_the_statistic_of_a_regime_is_the_ratio_that_it_shows_also_when_it_goes_on(
    analyse: Analyse, ticks: tuple[int, int], ratio: float
) -> None:
    first, again = ticks
    records = twenty_ticks_then((70.5, first), (73, 20), (74, again), (80, 20), (90, 20))
    found = only(analyse(records), "spread_regime", second(89))
    assert found["closed_at"] == second(80)
    assert found["statistic"] == pytest.approx(ratio)
    assert found["evidence"]["ratio"] == found["statistic"]
    assert found["evidence"]["spread_ticks"] in ticks


@pytest.mark.parametrize(("lasts", "found"), [(1.05, 1), (0.95, 0)])
def test_a_regime_holds_for_a_second(analyse: Analyse, lasts: float, found: int) -> None:
    records = twenty_ticks_then((70.5, 40), (70.5 + lasts, 20), (90, 20))
    assert len(all_of(analyse(records), "spread_regime", second(85))) == found


@pytest.mark.parametrize(("ticks", "found"), [(3, 1), (2, 0)])
def test_a_regime_is_two_ticks_from_the_usual_spread(
    analyse: Analyse, ticks: int, found: int
) -> None:
    at_first = [quote(at=0.01 * k, bid=9.5 + k / 100, ask=9.51 + k / 100) for k in range(21)]
    usual = [quote(at=k, bid=9.70, ask=9.71) for k in range(1, 60)]
    others = [quote(at=at, bid=9.70, ask=9.70 + ticks / 100) for at in (60.5, 70)]
    records = stream(*at_first, *usual, *others)
    assert len(all_of(analyse(records), "spread_regime", second(69))) == found


@pytest.mark.parametrize(
    ("one_tick_seconds", "found"),
    [
        # (2^(n/1800) - 1) / (2^((n + 200)/1800) - 1): the weight of the seconds at one tick.
        pytest.param(811, 1, id="0.77 at one tick"),
        pytest.param(1289, 0, id="0.83 at one tick"),
    ],
)
def test_no_tight_regime_begins_where_four_fifths_of_the_time_show_one_tick(
    analyse: Analyse, one_tick_seconds: int, found: int
) -> None:
    at_first = [quote(at=0.01 * k, bid=9.5 + k / 100, ask=9.51 + k / 100) for k in range(21)]
    narrow = [quote(at=k, bid=9.70, ask=9.71) for k in range(1, one_tick_seconds)]
    last = one_tick_seconds + 200
    wide = [quote(at=k, bid=9.70, ask=9.90) for k in range(one_tick_seconds, last)]
    tight = [quote(at=at, bid=9.70, ask=9.71) for at in (last + 0.5, last + 5)]
    answers = analyse(stream(*at_first, *narrow, *wide, *tight))
    events = all_of(answers, "spread_regime", second(last + 4))
    assert len([event for event in events if event["side"] == "tight"]) == found


# Stacking -----------------------------------------------------------------------------------------


def stacked(size: float, *, then: float, age: float = 1) -> Records:
    """Let a new best bid of 150 grow to `size` at an age, and change to `then` later."""
    return stream(
        *calm(40),
        quote(at=40, bid=10.01, bid_size=150),
        quote(at=40 + age, bid=10.01, bid_size=size),
        quote(at=50, bid=10.01, bid_size=then),
        quote(at=60, bid=10.01, bid_size=then),
    )


@pytest.mark.parametrize(("size", "age", "found"), [(300, 1, 1), (299, 1, 0), (305, 2.1, 0)])
def test_a_stack_is_twice_its_start_at_age_two_seconds(
    analyse: Analyse, size: float, age: float, found: int
) -> None:
    records = stacked(size, then=size, age=age)
    assert len(all_of(analyse(records), "stacking", second(58))) == found


@pytest.mark.parametrize(("size", "found"), [(200, 0), (201, 1)])
def test_a_stack_is_over_twice_the_median(analyse: Analyse, size: float, found: int) -> None:
    records = stream(
        *calm(40),
        quote(at=40, bid=10.01, bid_size=90),
        quote(at=41, bid=10.01, bid_size=size),
        quote(at=60, bid=10.01, bid_size=size),
    )
    assert len(all_of(analyse(records), "stacking", second(58))) == found


@pytest.mark.parametrize(("then", "reason"), [(185, "faded"), (190, None)])
def test_a_stack_fades_below_a_quarter_more_than_its_start(
    analyse: Analyse, then: float, reason: str | None
) -> None:
    found = only(analyse(stacked(400, then=then)), "stacking", second(58))
    assert found["close_reason"] == reason


# Sweeps -------------------------------------------------------------------------------------------


def walks(gaps_ms: list[float], *, price: float = 10.05, at: float = 1) -> Records:
    """Buy twice each second, the second time a cent further along and so many ms later."""
    return [
        trade(at=at + k + part * gap / 1000, price=price + part / 100, size=10, aggressor="buy")
        for k, gap in enumerate(gaps_ms)
        for part in (0, 1)
    ]


def stays(equal: int, apart: int) -> Records:
    """Buy twice at one price each second, so often at equal stamps, and 1.5 ms apart."""
    return [
        trade(at=1 + k + part * gap / 1000, price=10.05, size=10, aggressor="buy")
        for k, gap in enumerate([0.0] * equal + [1.5] * apart)
        for part in (0, 1)
    ]


def judged(pairs: Records, seconds: float, *prices: float, side: str = "buy") -> Records:
    """Print at prices so far apart, after pairs that tell what this feed is like."""
    orders = [trade(at=81 + k, price=10.05, size=10, aggressor=side) for k in range(60)]
    prints = [
        trade(at=150.5 + seconds * k, price=price, size=100, aggressor=side)
        for k, price in enumerate(prices)
    ]
    return stream(
        quote(at=0, bid=10.04, ask=10.05), *pairs, *orders, *prints, quote(at=152), quote(at=160)
    )


APART = [1.5] * 20
SAME = [0.0] * 20


@pytest.mark.parametrize(
    ("records", "prices"),
    [
        pytest.param(judged(walks(APART), 0.001, 10.05, 10.06), [2], id="1 ms apart"),
        pytest.param(judged(walks(APART), 0.0012, 10.05, 10.06), [], id="1.2 ms apart"),
        pytest.param(judged(walks(APART), 0.001, 10.05, 10.05), [], id="at one price"),
        pytest.param(judged(walks(APART[1:]), 0.001, 10.05, 10.06), [], id="19 pairs"),
        pytest.param(judged(walks([5.0] * 20), 0.001, 10.05, 10.06), [2], id="pairs of 5 ms"),
        pytest.param(judged(walks([5.2] * 20), 0.001, 10.05, 10.06), [], id="pairs of 5.2 ms"),
        pytest.param(judged(walks(SAME), 0.001, 10.05, 10.06), [], id="feed of equal stamps"),
        pytest.param(judged(walks(SAME), 0.0, 10.05, 10.06), [2], id="equal stamps"),
        # 1 of 51 is under .02; 1 of 50 is not, nor are 2 of 21 over .1.
        pytest.param(
            judged(walks([0.0, *[1.5] * 50]), 0.001, 10.05, 10.06), [2], id="1 of 51 equal"
        ),
        pytest.param(
            judged(walks([0.0, *[1.5] * 49]), 0.001, 10.05, 10.06), [], id="1 of 50 equal"
        ),
        pytest.param(
            judged(walks([*APART, 0.0, 0.0]), 0.001, 10.05, 10.06), [2], id="2 of 22: as it was"
        ),
        pytest.param(
            judged(walks([*APART, 0.0, 0.0, 0.0]), 0.001, 10.05, 10.06), [], id="3 of 23 equal"
        ),
        pytest.param(
            judged([*stays(10, 10), *walks(APART, at=21)], 0.001, 10.05, 10.06),
            [],
            id="half of 20 at one price equal",
        ),
        pytest.param(
            judged([*stays(9, 11), *walks(APART, at=21)], 0.001, 10.05, 10.06),
            [2],
            id="fewer at one price",
        ),
        pytest.param(
            judged([*stays(19, 0), *walks(APART, at=21)], 0.001, 10.05, 10.06),
            [2],
            id="19 pairs at one price",
        ),
    ],
)
def test_which_prints_are_one_sweep_is_told_by_pairs_that_walked_the_book(
    analyse: Analyse, records: Records, prices: list[int]
) -> None:
    found = [
        event
        for event in all_of(analyse(records), "sweep", second(160))
        if event["opened_at"] >= second(150)
    ]
    assert [event["evidence"]["prices"] for event in found] == prices


def test_prints_at_one_price_or_back_tell_nothing_about_stamps(analyse: Analyse) -> None:
    back = [
        trade(at=1 + k + part / 1000, price=10.06 - part / 100, size=10, aggressor="buy")
        for k in range(40)
        for part in (0, 1)
    ]
    records = judged(back, 0.001, 10.05, 10.06)
    assert all_of(analyse(records), "sweep", second(160)) == []


# Trade bursts -------------------------------------------------------------------------------------


def bursts(*prints: tuple[float, float]) -> Records:
    """Buy 10 every twenty seconds, the q99 of ten seconds; then trade, negative sizes being sold.

    The mid rises by two cents before the prints, which come at such fractions after 1012 s.
    """
    usual = [trade(at=k + 0.5, price=10.05, size=10, aggressor="buy") for k in range(0, 1001, 20)]
    last = [
        trade(at=1012 + at, price=10.05, size=abs(size), aggressor="buy" if size > 0 else "sell")
        for at, size in prints
    ]
    moved = quote(at=1010.5, bid=10.02, ask=10.07)
    return stream(quote(at=0), *usual, moved, *last, quote(at=1040))


@pytest.mark.parametrize(
    ("prints", "statistics"),
    [
        pytest.param([(0.2, 4), (0.4, 4), (0.6, 4)], [1.2], id="three prints of 12"),
        pytest.param([(0.2, 4), (0.4, 3), (0.6, 3)], [1.0], id="the q99"),
        pytest.param([(0.2, 4), (0.4, 3), (0.6, 2.9)], [], id="less"),
        pytest.param([(0.2, 6), (0.4, 6)], [], id="two prints"),
        pytest.param([(0.2, 8), (0.3, -2.6), (0.4, 8), (0.6, 8)], [2.14], id="0.805 of one side"),
        pytest.param([(0.2, 8), (0.3, -2.7), (0.4, 8), (0.6, 8)], [], id="0.798 of one side"),
    ],
)
def test_a_trade_burst_is_a_rare_flow_of_three_prints_to_one_side(
    analyse: Analyse, prints: list[tuple[float, float]], statistics: list[float]
) -> None:
    found = all_of(analyse(bursts(*prints)), "trade_burst", second(1030))
    assert [event["statistic"] for event in found] == pytest.approx(statistics)


THREE = [(0.2, 4), (0.4, 4), (0.6, 4)]


def test_a_trade_burst_shows_what_it_rests_on(analyse: Analyse) -> None:
    found = only(analyse(bursts(*THREE)), "trade_burst", second(1030))
    assert (found["side"], found["evidence_class"]) == ("ask", "A")
    assert (found["opened_at"], found["noticed_at"]) == (second(1012.2), second(1013))
    assert (found["price_low"], found["price_high"]) == (None, None)
    assert found["evidence"] == {
        "volume_shares": 12,
        "floor_shares": 10,
        "prints": 3,
        "one_sided_share": 1.0,
        # Fifteen prints of ten in the five minutes before.
        "window_share": pytest.approx(12 / 162),
        "mid_move": pytest.approx(0.02),
    }


@pytest.mark.parametrize(
    ("later", "reason", "at"),
    [
        pytest.param([], "faded", 1023, id="ten seconds later"),
        pytest.param([(2.5, -6.9)], "turned", 1023, id="5.1 left, then only what was sold"),
        pytest.param([(2.5, -7.1)], "faded", 1015, id="4.9 left"),
        pytest.param([(2.5, -13)], "turned", 1015, id="sold"),
    ],
)
def test_a_trade_burst_closes_below_half_of_the_q99_or_turned(
    analyse: Analyse, later: list[tuple[float, float]], reason: str, at: int
) -> None:
    found = only(analyse(bursts(*THREE, *later)), "trade_burst", second(1035))
    assert (found["close_reason"], found["closed_at"]) == (reason, second(at))


# Walls --------------------------------------------------------------------------------------------


def wall(*later: tuple[float, float], traded: float = 0) -> Records:
    """Let 1,000 stand at the bid from 210.25 s on, then other sizes; the threshold is 300."""
    sizes = [quote(at=at, bid_size=size) for at, size in later]
    prints = [trade(at=214, price=10.00, size=traded, aggressor="sell")] if traded else []
    return stream(*calm(210), quote(at=210.25, bid_size=1000), *prints, *sizes)


@pytest.mark.parametrize(("at", "found"), [(212.2, 0), (212.3, 1)])
def test_a_wall_stands_for_two_seconds(analyse: Analyse, at: float, found: int) -> None:
    records = wall((at, 100), (230, 100))
    assert len(all_of(analyse(records), "wall", second(225))) == found


@pytest.mark.parametrize(("size", "found"), [(301, 1), (299, 0)])
def test_a_wall_is_three_times_the_median(analyse: Analyse, size: float, found: int) -> None:
    records = stream(*calm(210), quote(at=210.25, bid_size=size), quote(at=230, bid_size=size))
    assert len(all_of(analyse(records), "wall", second(225))) == found


@pytest.mark.parametrize(("size", "reason"), [(149, "removed"), (151, None)])
def test_a_wall_ends_below_half_of_its_threshold(
    analyse: Analyse, size: float, reason: str | None
) -> None:
    found = only(analyse(wall((216, size), (230, size))), "wall", second(225))
    assert found["close_reason"] == reason


@pytest.mark.parametrize(
    ("share", "reason"),
    [(0.76, "consumed"), (0.74, "faded"), (0.26, "faded"), (0.24, "pulled")],
)
def test_prints_decide_whether_a_wall_was_consumed_faded_or_pulled(
    analyse: Analyse, share: float, reason: str
) -> None:
    records = wall((216, 100), (230, 100), traded=900 * share)
    assert only(analyse(records), "wall", second(225))["close_reason"] == reason


# Life of an event, and its strength ---------------------------------------------------------------


@pytest.mark.parametrize(("away", "found"), [(4.9, 1), (5.1, 2)])
def test_an_event_goes_on_when_its_condition_is_true_again_within_five_seconds(
    analyse: Analyse, away: float, found: int
) -> None:
    # The wall must stand for two seconds again before it is one.
    again = 216 + away - 2
    records = wall((216, 100), (again, 1000), (240, 1000))
    assert len(all_of(analyse(records), "wall", second(235))) == found


@pytest.mark.parametrize(("before", "strength"), [(49, None), (50, 50.5 / 51)])
def test_an_event_is_ranked_among_fifty_candidates_or_more(
    analyse: Analyse, before: int, strength: float | None
) -> None:
    assert strength_after([1] * before, analyse) == strength


def test_an_event_is_ranked_among_the_newest_500_candidates(analyse: Analyse) -> None:
    # Thirty of five prints, twenty of which are too old, then 490 of one print.
    assert strength_after([5] * 30 + [1] * 490, analyse) == pytest.approx((490 + 0.5) / 501)


def strength_after(candidates: list[int], analyse: Analyse) -> float | None:
    """Return the strength of three hidden prints after candidates of so many prints each."""
    place_ms = iter(range(10_000))
    ended = [
        trade(at=6 + next(place_ms) / 1000, price=10.01 + n / 100, size=1, aggressor="buy")
        for n, prints in enumerate(candidates)
        for _ in range(prints)
    ]
    three = [trade(at=at, price=16.00, size=1, aggressor="buy") for at in (36, 37, 38)]
    orders = bought_at_ask(1, price=20.00)
    answers = analyse(stream(quote(at=0, ask=20.00), *orders, *ended, *three))
    [found] = [e for e in all_of(answers, "hidden_print", second(60)) if e["price_low"] == 16.00]
    strength: float | None = found["strength"]
    return strength
