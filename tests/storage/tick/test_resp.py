"""What goes out as packed bytes is what a client would send."""

import hiredis
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.storage.keys import Keys
from app.storage.scripts import READ_RECORDS_SHA
from app.storage.tick.read import BYTES_A_READ, READ_COMMAND_COUNT, read_commands
from app.storage.tick.resp import bulk_string, command, field_names, hset


@given(st.text())
def test_a_word_is_packed_as_the_client_packs_it(text: str) -> None:
    assert f"*1\r\n{bulk_string(text)}".encode() == hiredis.pack_command((text,))


@given(st.lists(st.text() | st.integers(), min_size=1))
def test_a_command_is_packed_as_the_client_packs_it(words: list[str | int]) -> None:
    assert command(*words) == hiredis.pack_command(tuple(words))


@given(
    st.text("ab:{}1é", min_size=1),
    st.dictionaries(st.text("xyz_", min_size=1), st.text() | st.just("x" * 1000)),
)
def test_a_hash_is_packed_as_the_client_packs_it(key: str, fields: dict[str, str]) -> None:
    words = [word for pair in fields.items() for word in pair]

    packed = hset(key, field_names(tuple(fields)), list(fields.values()))

    assert packed == hiredis.pack_command(("HSET", key, *words))


@pytest.mark.parametrize("ticker", ["SPY", "O:SPY241220C00450000", "é"])
def test_what_a_tick_asks_is_packed_as_the_client_packs_it(ticker: str) -> None:
    names = Keys().of_tick(ticker)
    state, quotes, trades = names[:3]
    asked = [
        ("UNWATCH",),
        ("WATCH", state),
        ("HMGET", state, "version", "behind", "recent_count", "lost_to"),
        ("EVALSHA", READ_RECORDS_SHA, 2, quotes, trades, "(999", 2001, 0, 50, BYTES_A_READ),
        ("ZCOUNT", quotes, 10**12, 1000),
        ("ZCOUNT", trades, 10**12, 1000),
        *(("HLEN", name) for name in names[-3:]),
        ("ZCARD", f"orderflow:gaps:{ticker}"),
    ]

    packed = read_commands(names, folded_to=1000, as_of=2000, limit=50)

    assert packed == b"".join(map(hiredis.pack_command, asked))
    assert len(asked) == READ_COMMAND_COUNT
