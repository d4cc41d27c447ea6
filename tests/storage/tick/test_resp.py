"""What goes out as packed bytes is what a client would send."""

from typing import Any

import hiredis
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.storage.keys import Keys
from app.storage.scripts import READ_RECORDS_SHA
from app.storage.tick.read import (
    BYTES_A_READ,
    PLAIN_READ_COMMAND_COUNT,
    READ_COMMAND_COUNT,
    ReadRange,
    plain_read_commands,
    read_commands,
)
from app.storage.tick.resp import bulk_string, command, field_names, hset, pack_words


@given(st.text())
def test_a_word_is_packed_as_the_client_packs_it(text: str) -> None:
    assert f"*1\r\n{bulk_string(text)}".encode() == hiredis.pack_command((text,))


@given(st.lists(st.text() | st.integers() | st.binary() | st.just(b"x" * 1000), min_size=1))
def test_a_command_is_packed_as_the_client_packs_it(words: list[str | int | bytes]) -> None:
    assert pack_words(words) == command(*words) == hiredis.pack_command(tuple(words))


@given(
    st.text("ab:{}1é", min_size=1),
    st.dictionaries(st.text("xyz_", min_size=1), st.text() | st.just("x" * 1000)),
)
def test_a_hash_is_packed_as_the_client_packs_it(key: str, fields: dict[str, str]) -> None:
    words = [word for pair in fields.items() for word in pair]

    packed = hset(key, field_names(tuple(fields)), list(fields.values()))

    assert packed == hiredis.pack_command(("HSET", key, *words))


@given(st.lists(st.tuples(st.booleans(), st.text("xé", max_size=2)), min_size=1))
def test_fields_at_some_places_are_packed_alone(fields: list[tuple[bool, str]]) -> None:
    names = tuple(f"f{place}" for place in range(len(fields)))
    places = [place for place, (is_sent, _) in enumerate(fields) if is_sent]
    words = [word for place in places for word in (names[place], fields[place][1])]

    packed = hset("h", field_names(names), [fields[place][1] for place in places], places)

    assert packed == hiredis.pack_command(("HSET", "h", *words))


@pytest.mark.parametrize("ticker", ["SPY", "O:SPY241220C00450000", "é"])
def test_what_a_tick_asks_is_packed_as_the_client_packs_it(ticker: str) -> None:
    names = Keys().of_tick(ticker)
    state, quotes, trades = names[:3]
    first = [
        ("UNWATCH",),
        ("WATCH", state),
        ("HMGET", state, "version", "behind", "recent_count", "lost_to"),
    ]
    bounds = ("(999", 2001, "WITHSCORES", "LIMIT", 0, 50)
    plainly = [("ZRANGEBYSCORE", name, *bounds) for name in (quotes, trades)]
    scripted = ("EVALSHA", READ_RECORDS_SHA, 2, quotes, trades, "(999", 2001, 0, 50, BYTES_A_READ)
    last = [
        ("ZCOUNT", quotes, 10**12, 1000),
        ("ZCOUNT", trades, 10**12, 1000),
        ("ZCOUNT", quotes, "(8000", "+inf"),
        ("ZCOUNT", trades, "(8000", "+inf"),
        *(("HLEN", name) for name in names[-3:]),
        ("ZCARD", f"orderflow:gaps:{ticker}"),
    ]
    wanted = ReadRange(folded_to=1000, as_of=2000, clock_as_of=3000)

    assert read_commands(names, wanted, 50) == _packed([*first, scripted, *last])
    assert plain_read_commands(names, wanted, 50) == _packed([*first, *plainly, *last])
    assert len([*first, scripted, *last]) == READ_COMMAND_COUNT
    assert len([*first, *plainly, *last]) == PLAIN_READ_COMMAND_COUNT


def _packed(commands: list[tuple[Any, ...]]) -> bytes:
    return b"".join(map(hiredis.pack_command, commands))
