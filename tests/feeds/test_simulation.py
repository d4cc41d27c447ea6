"""The simulated market: its engine keeps the rules of one, and its tapes look like real ones."""

from collections import Counter
from dataclasses import replace
from itertools import pairwise

import pytest

from app.analysis.records import BUY, Quote, Record, Trade
from app.feeds.simulation import PROFILES, Label, profile_of, simulate
from app.feeds.simulation.book import ASK, BID, Book, Order
from app.feeds.simulation.plants import QUIET_START_MS
from app.feeds.simulation.profiles import PLANTED_PATTERNS

START_MS = 1_704_205_800_000
Tape = tuple[list[Record], list[Label]]


class Sheet:
    """Writes down what the engine does."""

    def __init__(self) -> None:
        self.prints: list[tuple[str, int, int]] = []

    def on_execution(self, resting_side: str, price: int, lots: int) -> None:
        """Note a print."""
        self.prints.append((resting_side, price, lots))

    def on_book_change(self) -> None:
        """Nobody looks at quotes here."""


@pytest.fixture
def sheet() -> Sheet:
    return Sheet()


@pytest.fixture
def book(sheet: Sheet) -> Book:
    return Book(sheet)


def tape_of(ticker: str, seconds: int = 600, seed: int = 1, **changes: object) -> Tape:
    records: list[Record] = []
    labels: list[Label] = []
    profile = replace(profile_of(ticker), **changes)  # type: ignore[arg-type]
    for more_records, more_labels in simulate(ticker, seed, START_MS, seconds, profile):
        records += more_records
        labels += more_labels
    return records, labels


@pytest.fixture(scope="module")
def half_hour() -> Tape:
    return tape_of("AAPL", 1800)


def quotes_of(records: list[Record]) -> list[Quote]:
    return [record for record in records if isinstance(record, Quote)]


def test_the_earlier_order_at_a_price_is_filled_first(book: Book, sheet: Sheet) -> None:
    early, late = Order(BID, 100, 5), Order(BID, 100, 5)
    book.place(early)
    book.place(late)

    left, prices = book.execute(BID, 7, 100)

    assert (left, prices) == (0, {100})
    assert (early.lots, late.lots) == (0, 3)
    assert sheet.prints == [(BID, 100, 5), (BID, 100, 2)]


def test_a_market_order_goes_from_the_best_price_to_its_worst_and_no_further(book: Book) -> None:
    for price in (103, 101, 102):
        book.place(Order(ASK, price, 10))

    left, prices = book.execute(ASK, 100, 102)

    assert (left, prices) == (80, {101, 102})
    assert book.sides[ASK].best == 103


def test_what_a_crossing_order_can_not_execute_rests(book: Book, sheet: Sheet) -> None:
    book.place(Order(ASK, 101, 4))

    book.place(Order(BID, 101, 10))

    assert sheet.prints == [(ASK, 101, 4)]
    assert (book.sides[BID].best, book.sides[BID].best_lots) == (101, 6)
    assert book.sides[ASK].best is None


def test_a_cancelled_order_leaves_its_level_and_the_next_price_is_best(book: Book) -> None:
    best = Order(ASK, 101, 4)
    book.place(best)
    book.place(Order(ASK, 105, 4))

    book.cancel(best)
    book.cancel(best)

    assert (book.sides[ASK].best, len(book.sides[ASK])) == (105, 1)


def test_the_same_seed_gives_the_same_tape_and_another_seed_another() -> None:
    once, again, other = tape_of("SPY", 120), tape_of("SPY", 120), tape_of("SPY", 120, seed=2)

    assert once == again
    assert once[0] != other[0]


def test_records_are_numbered_in_one_sequence_in_the_order_of_their_stamps(half_hour: Tape) -> None:
    records, _ = half_hour

    assert [record.seq for record in records] == list(range(1, len(records) + 1))
    assert all(earlier.stamp <= later.stamp for earlier, later in pairwise(records))
    assert records[0].stamp >= START_MS
    assert records[-1].stamp < START_MS + 1_800_000


def test_a_quote_always_differs_from_the_one_before_it(half_hour: Tape) -> None:
    quotes = quotes_of(half_hour[0])

    shown = [(q.bid_price, q.bid_size, q.ask_price, q.ask_size) for q in quotes]
    assert all(earlier != later for earlier, later in pairwise(shown))


def test_a_print_at_the_best_price_is_followed_at_once_by_its_effect(half_hour: Tape) -> None:
    quote: Quote | None = None
    checked = 0
    for record, following in pairwise(half_hour[0]):
        if isinstance(record, Quote):
            quote = record
            continue
        if quote is None:
            continue
        bought = record.aggressor == BUY
        if record.price != (quote.ask_price if bought else quote.bid_price):
            continue
        assert isinstance(following, Quote)
        assert (following.stamp, following.seq) == (record.stamp, record.seq + 1)
        before, after = (
            (quote.ask_size, following.ask_size) if bought else (quote.bid_size, following.bid_size)
        )
        if following.ask_price == quote.ask_price and following.bid_price == quote.bid_price:
            assert after == before - record.size
        checked += 1
    assert checked > 1000


def test_books_are_two_sided_and_uncrossed_but_for_moments(half_hour: Tape) -> None:
    quotes = quotes_of(half_hour[0])

    invalid = sum(not quote.is_valid for quote in quotes)
    assert invalid < len(quotes) / 1000


def test_a_tape_resembles_aapls_of_2012_within_a_factor_of_two(half_hour: Tape) -> None:
    """Its figures: 15 ticks median spread, .56 of rows share their ms, .23 of changes undone."""
    quotes = quotes_of(half_hour[0])

    spreads = sorted((q.ask_price - q.bid_price) / 1_000_000 for q in quotes if q.is_valid)
    assert 7.5 < spreads[len(spreads) // 2] < 30
    in_ms = Counter(int(q.stamp) for q in quotes)
    assert 0.28 < sum(n for n in in_ms.values() if n > 1) / len(quotes) < 1
    assert 0.115 < flicker([(q.stamp, q.bid_price) for q in quotes]) < 0.46
    assert 2.3 < len(quotes) / 1800 < 9.2


def flicker(prices: list[tuple[float, int]]) -> float:
    """Return the share of price changes that are undone within 100 ms."""
    changes = [(stamp, old, new) for (_, old), (stamp, new) in pairwise(prices) if old != new]
    undone = sum(
        any(later[0] - stamp <= 100 and later[2] == old for later in changes[i + 1 : i + 50])
        for i, (stamp, old, _) in enumerate(changes)
    )
    return undone / len(changes)


def test_every_kind_is_planted_after_a_quiet_start_and_labelled(half_hour: Tape) -> None:
    labels = [label for label in half_hour[1] if label.kind != "sweep"]

    assert {label.kind for label in half_hour[1]} == set(PLANTED_PATTERNS)
    assert min(label.start_ms for label in labels) >= START_MS + QUIET_START_MS
    assert all(label.start_ms < label.end_ms for label in labels)


def test_labels_of_sweeps_are_all_orders_that_print_at_two_displayed_prices(
    half_hour: Tape,
) -> None:
    records, labels = half_hour
    prices: dict[tuple[float, int], set[int]] = {}
    quote: Quote | None = None
    for record in records:
        if isinstance(record, Quote):
            quote = record
        elif quote is not None and not quote.bid_price < record.price < quote.ask_price:
            prices.setdefault((record.stamp, record.aggressor), set()).add(record.price)

    swept = sorted(stamp for (stamp, _), at in prices.items() if len(at) > 1)
    assert sorted({label.start_ms for label in labels if label.kind == "sweep"}) == swept


def test_an_iceberg_executes_more_than_it_ever_shows(half_hour: Tape) -> None:
    records, labels = half_hour
    icebergs = [label for label in labels if label.kind == "iceberg"]

    assert icebergs
    for label in icebergs:
        price = round(label.price * 1e8)
        volume = sum(
            record.size
            for record in records
            if isinstance(record, Trade)
            and record.price == price
            and label.start_ms <= record.stamp <= label.end_ms
        )
        assert volume >= label.size


def test_a_wall_is_the_best_price_over_the_usual_size(half_hour: Tape) -> None:
    records, labels = half_hour
    quotes = quotes_of(records)
    usual = sorted(q.bid_size for q in quotes)[len(quotes) // 2]
    walls = [label for label in labels if label.kind == "wall"]

    assert walls
    for label in walls:
        shown = [
            size
            for q in quotes
            if label.start_ms <= q.stamp <= label.end_ms
            for price, size in ((q.bid_price, q.bid_size), (q.ask_price, q.ask_size))
            if price == round(label.price * 1e8)
        ]
        assert max(shown) >= label.size > 2 * usual


def test_a_null_tape_plants_nothing_and_sweeps_nothing() -> None:
    _, labels = tape_of("AAPL", planted_patterns=(), second_price_share=0.0)

    assert labels == []


def test_each_ticker_has_a_price_and_tick_of_its_own() -> None:
    for ticker, profile in PROFILES.items():
        quotes = quotes_of(tape_of(ticker, 60)[0])

        assert all(
            q.bid_price % profile.tick_units == q.ask_price % profile.tick_units == 0
            for q in quotes
        )
        assert quotes[0].bid_price / 1e8 == pytest.approx(profile.price, rel=0.01)


def test_a_ticker_without_a_profile_gets_the_same_one_each_time() -> None:
    assert profile_of("XYZ") == profile_of("XYZ")
    assert profile_of("XYZ").price != profile_of("ABC").price
